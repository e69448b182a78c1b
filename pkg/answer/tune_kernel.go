package answer

import (
	"fmt"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
)

// kernelArgs are the arguments that the plan gives to the installed kernel,
// in its order: hugepagesz says what the hugepages behind it are. tuneScript
// refuses those that cannot stand there.
func kernelArgs(i *profile.Intent) []string {
	var args []string
	for _, a := range i.KernelArgs {
		args = append(args, a.Arg)
	}
	return args
}

func tuneKernel(s *script, i *profile.Intent) {
	tuneArguments(s, i)
	tuneModules(s, i.Modules)
	if len(i.Sysctl) > 0 {
		var b strings.Builder
		for _, v := range i.Sysctl {
			field := "sysctl " + v.Key
			explain(s, &b, field, v.Reason)
			fmt.Fprintf(&b, "%s = %s\n", s.item("sysctl key", v.Key), s.value(field, v.Value))
		}
		section(s, "Kernel parameters, in force from the next boot.")
		s.make("parameters", "/etc/sysctl.d/60-rackseed.conf", b.String())
	}
	tuneMemory(s, i)
}

func tuneArguments(s *script, i *profile.Intent) {
	var b strings.Builder
	var args []string
	for _, a := range i.KernelArgs {
		explain(s, &b, "kernel argument "+a.Arg, a.Reason)
		args = append(args, s.kernel("kernel argument", a.Arg))
		b.WriteString(a.Arg + "\n")
	}
	section(s, "Arguments of the kernel, in force from the next boot.")
	s.say(fmt.Sprintf("kernel_arguments %s <<'%s'", s.shell("kernel arguments", strings.Join(args, " ")), endOfText), strings.TrimSuffix("# Written by Rackseed: the kernel arguments of the plan.\n"+b.String(), "\n"), endOfText)
}

func tuneModules(s *script, modules []profile.Module) {
	var load, options strings.Builder
	for _, m := range modules {
		field := "module " + m.Name
		name := s.item("module", m.Name)
		if loads(m) {
			explain(s, &load, field, m.Reason)
			load.WriteString(name + "\n")
		}
		if m.Options != "" {
			explain(s, &options, field, m.Reason)
			fmt.Fprintf(&options, "options %s %s\n", name, s.value(field, m.Options))
		}
	}
	if load.Len() > 0 {
		section(s, "Modules are there before systemd-sysctl sets what belongs to them.")
		s.file("/etc/modules-load.d/60-rackseed.conf", load.String())
	}
	if options.Len() > 0 {
		section(s, "Options of modules.")
		s.file("/etc/modprobe.d/60-rackseed.conf", options.String())
	}
}

func loads(m profile.Module) bool { return m.Load == nil || *m.Load }

// tuneMemory has systemd-tmpfiles write what has no sysctl, early at each boot.
func tuneMemory(s *script, i *profile.Intent) {
	var b strings.Builder
	if v := i.THP.Value; v != "" {
		if v != "always" && v != "madvise" && v != "never" {
			s.refuse("thp", v, "is none of always, madvise and never")
		}
		explain(s, &b, "thp", i.THP.Reason)
		fmt.Fprintf(&b, "w /sys/kernel/mm/transparent_hugepage/enabled - - - - %s\n", v)
	}
	if i.KSM.Value != "" {
		explain(s, &b, "ksm", i.KSM.Reason)
		fmt.Fprintf(&b, "w /sys/kernel/mm/ksm/run - - - - %s\n", ksmRun(&s.words, i.KSM.Value))
	}
	if b.Len() == 0 {
		return
	}
	section(s, "Transparent huge pages and merging of equal pages.")
	s.file("/etc/tmpfiles.d/60-rackseed.conf", b.String())
	if i.KSM.Value == "off" {
		s.call("ksm", "disable_unit", "ksm", "ksmtuned")
	}
}

// ksmRun is the value of /sys/kernel/mm/ksm/run: 2 takes merged pages apart
// again (Documentation/admin-guide/mm/ksm.rst).
func ksmRun(w *words, choice string) string {
	switch choice {
	case "on":
		return "1"
	case "off":
		return "2"
	default:
		return w.refuse("ksm", choice, "is neither on nor off")
	}
}
