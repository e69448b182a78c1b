package web

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// speak has the page say texts of the daemon in Chinese.
func speak(t *testing.T, texts []string) []string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("needs node: apt install nodejs")
	}
	const script = `
import {readFileSync} from 'node:fs';
import {learn, said} from './assets/js/lib/said.js';
const labels = JSON.parse(readFileSync('i18n/zh.json', 'utf8'));
learn(JSON.parse(readFileSync('i18n/daemon.zh.json', 'utf8')), (id) => labels[id]);
console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(said)));
`
	input, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "node", "--input-type=module", "-e", script)
	c.Stdin = bytes.NewReader(input)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, out)
	}
	var answers []string
	if err := json.Unmarshal(out, &answers); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return answers
}

// Every sentence of the catalogue is found again when the daemon says it, with
// its values in their places.
func TestSaidFindsEverySentence(t *testing.T) {
	chinese := map[string]string{}
	if err := json.Unmarshal([]byte(read(t, "i18n/daemon.zh.json")), &chinese); err != nil {
		t.Fatal(err)
	}
	var texts, want []string
	for text, translated := range chinese {
		holes := strings.Count(text, "{}")
		for n := range holes {
			value := "v" + strconv.Itoa(n+1)
			text = strings.Replace(text, "{}", value, 1)
			translated = regexp.MustCompile(`\{`+strconv.Itoa(n+1)+`(:[a-z|]+)?\}`).ReplaceAllLiteralString(translated, value)
		}
		texts, want = append(texts, text), append(want, translated)
	}
	colons := strings.NewReplacer(": ", "：", "; ", "；") // a value may have them, too
	for i, got := range speak(t, texts) {
		if colons.Replace(got) != colons.Replace(want[i]) {
			t.Errorf("%q is said as\n  %q, not\n  %q", texts[i], got, want[i])
		}
	}
}

// What the daemon puts together of sentences is put together in Chinese.
func TestSaidPutsTogether(t *testing.T) {
	told := []struct{ english, chinese string }{
		{"", ""},
		{"node-01", "node-01"},
		{"segmentation fault in a driver that nobody knows", "segmentation fault in a driver that nobody knows"},
		{"it asked for pxelinux.0, which is no boot file of this server; another DHCP server names that file (option 67), or the firmware remembers it: `rackseed explain` shows what we name",
			"它请求 pxelinux.0，这不是本服务器的引导文件；该文件由另一台 DHCP 服务器指定（option 67），或固件记住了它：`rackseed explain` 显示我们指定的文件"},
		{`n1 and n2 are both in rack A03 at unit 7 (and 3 more like it)`, "n1 和 n2 都在机柜 A03 的第 7U（另有 3 处相同）"},
		{"opening image rocky9: open /srv/rocky.iso: no such file or directory", "打开镜像 rocky9：open /srv/rocky.iso：没有该文件或目录"},
		{"its install failed before the disk was touched: no disk of 3 matches", "安装在写盘之前失败：no disk of 3 matches"},
		{"failed: package chrony-4.5 does not install: unexpected end of file", "失败：软件包 chrony-4.5 无法安装：文件意外结束"},
		{"disk: no disk fits (model=PM9A3); sda has another WWN; sdb is smaller than 8 GiB", "磁盘：没有磁盘符合（model=PM9A3）；sda 的 WWN 不同；sdb 小于 8 GiB"},
		{"reserved by the plan; its install failed before the disk was touched: 2 disks match the selector of the system disk, 1 is wanted: sda, sdb; nothing was written",
			"由规划保留；安装在写盘之前失败：有 2 块磁盘符合系统盘的选择条件，应为 1 块：sda, sdb；尚未写盘"},
		{"the column 管理IP is for management, and the plan has 0 networks for that", "列 管理IP 用于 management，而规划中有 0 个这样的网络"},
		{"adding page.iso: not an ISO 9660 image: no volume descriptor at sector 16; check that it is the ISO itself, unpacked, and not a web page or a disk image",
			"添加 page.iso：不是 ISO 9660 镜像：扇区 16 没有卷描述符；请确认它就是 ISO 本身（已解压），而不是网页或磁盘映像"},
		{"tcp port 8080 is free for HTTP boot", "tcp 端口 8080 空闲，可用于 HTTP boot"},
	}
	var texts, want []string
	for _, c := range told {
		texts, want = append(texts, c.english), append(want, c.chinese)
	}
	if diff := cmp.Diff(want, speak(t, texts)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// States, stages, devices and actions in a sentence have the labels that they
// have elsewhere on the page; names of the site that look like them stay.
func TestSaidLabelsNames(t *testing.T) {
	told := []struct{ english, chinese string }{
		{"it is ready: the system that attempt 2 installed is lost", "状态为就绪：第 2 次安装的系统会丢失"},
		{"it is on", "状态为已开机"},
		{"node-07 is installing: no install of it waits for a first boot", "node-07 的状态是安装中：没有在等待首次启动的安装"},
		{"ready is ready: no install of it waits for a first boot", "ready 的状态是就绪：没有在等待首次启动的安装"},
		{`no report since stage "partitioned", for longer than that stage may take: look at the machine's console; ` + "`rackseed explain disk` says what it would be told now",
			"自阶段“已分区”以来超时未上报：查看机器控制台；`rackseed explain disk` 显示现在会怎样应答它"},
		{"installing: packages", "安装中：安装软件包"},
		{"installing: a-stage-of-tomorrow", "安装中：a-stage-of-tomorrow"},
		{"on", "已开机"},
		{"power cycle", "电源操作“断电重启”"},
		{"power cycle, read back: on", "电源操作“断电重启”，已回读：已开机"},
		{"after power off the BMC still says on: the BMC accepted the order and did not carry it out", "电源操作“立即关机”之后 BMC 仍显示已开机：BMC 接受了命令却没有执行"},
		{"it booted from disk although the BMC said pxe: it asked for nothing", "BMC 显示网络（PXE），它却从磁盘启动：it asked for nothing"},
		{"PXE of UEFI x64, through relay 10.0.0.1", "UEFI x64 的 PXE，经中继 10.0.0.1"},
		{"HTTP boot of UEFI HTTP x64, through relay 10.0.0.1", "UEFI HTTP x64 的 HTTP 启动，经中继 10.0.0.1"},
		{"power reset, read back: on, it was seen to be off", "已复位，已回读：已开机，曾看到它：已关机"},
		{"disk once (uefi)", "磁盘，一次 (uefi)"},
		{"its BMC still said pxe persistently, and was told disk", "其 BMC 仍显示网络（PXE），永久，已改为磁盘"},
		{"gateway 10.0.0.255 of network mgmt is its broadcast address", "网络 mgmt 的网关 10.0.0.255 是其广播地址"},
		{"DHCP answers in proxy mode on eno1", "DHCP 以代理模式在 eno1 上应答"},
		{"n1 stands in the plan file and is removed there: edit it, then `rackseed plan apply FILE`", "n1 写在规划文件中，须在那里移除：请编辑文件，然后 `rackseed plan apply FILE`"},
	}
	var texts, want []string
	for _, c := range told {
		texts, want = append(texts, c.english), append(want, c.chinese)
	}
	if diff := cmp.Diff(want, speak(t, texts)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
