package sheet

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// problem is why a value was not taken, and what to do.
type problem struct{ id, message, fix string }

const asText = "format the column as text in the spreadsheet program and copy the value again from the label"

var exponent = regexp.MustCompile(`^[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+$`)

// parseMACs reads the addresses of one cell: one, or several with anything
// but a MAC's own separators between them.
func parseMACs(c Cell) ([]site.MAC, *problem) {
	text := c.text()
	if p := mangledMAC(c, text); p != nil {
		return nil, p
	}
	var out []site.MAC
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,;、|/\n", r) }) {
		m, err := site.ParseMAC(word)
		if err != nil {
			return nil, &problem{"mac-malformed", err.Error(), "read it again from the label; aabb-ccdd-eeff, aa-bb-cc-dd-ee-ff, aabb.ccdd.eeff and twelve digits are read, too"}
		}
		out = append(out, m)
	}
	return out, nil
}

// parseMAC reads the one address of a BMC.
func parseMAC(c Cell) (site.MAC, *problem) {
	macs, p := parseMACs(c)
	switch {
	case p != nil:
		return site.MAC{}, p
	case len(macs) != 1:
		return site.MAC{}, &problem{"mac-malformed", fmt.Sprintf("%q has %d MAC addresses, and a BMC has one", c.text(), len(macs)), "keep the one of the BMC; those of NICs go to a column of their own"}
	default:
		return macs[0], nil
	}
}

func mangledMAC(c Cell, text string) *problem {
	switch {
	case exponent.MatchString(text):
		return &problem{"mac-rounded", fmt.Sprintf("the spreadsheet program took a MAC address for the number %s, and some of its digits are lost", text), asText}
	case c.Number && len(text) != 12:
		return &problem{"mac-number", fmt.Sprintf("the spreadsheet program took a MAC address for the number %s: leading zeros are lost", text), asText}
	case len(text) < 12 && len(text) > 3 && strings.Trim(text, "0123456789") == "":
		return &problem{"mac-number", fmt.Sprintf("%s has %d digits of a MAC address's 12: a spreadsheet program may have taken off leading zeros", text, len(text)), asText}
	}
	return nil
}

// parseSerial takes a number only when told to: 0123 and 123 are two
// machines, and the sheet has forgotten which it is.
func parseSerial(c Cell, numbersAsText bool) (string, *problem) {
	text := c.text()
	switch {
	case exponent.MatchString(text):
		return "", &problem{"serial-rounded", fmt.Sprintf("the spreadsheet program took a serial number for the number %s, and some of its digits are lost", text), asText}
	case c.Number && len(text) > 15:
		return "", &problem{"serial-rounded", fmt.Sprintf("the spreadsheet program took a serial number for the number %s, of which it keeps only 15 digits", text), asText}
	case c.Number && !numbersAsText:
		return "", &problem{"serial-number", fmt.Sprintf("the cell holds the number %s: if the serial number started with zeros, they are lost", text),
			asText + "; if they are right as they stand, give --numbers-as-text"}
	}
	return text, nil
}

var (
	unitPlain  = regexp.MustCompile(`^[uU]?([0-9]{1,3})$`)
	unitSuffix = regexp.MustCompile(`^([0-9]{1,3})[uU]$`)
	unitRange  = regexp.MustCompile(`^[uU]?([0-9]{1,3})[uU]?[-~–—至到]+[uU]?([0-9]{1,3})[uU]?$`)
)

// tallest is the height in units that a server does not reach: 38U cannot be
// one.
const tallest = 20

// parseU gives the lowest unit and the highest; they are equal where the
// sheet does not say how high the machine is.
func parseU(c Cell) (low, high int, p *problem) {
	text := strings.ReplaceAll(c.text(), " ", "")
	if m := unitPlain.FindStringSubmatch(text); m != nil {
		low, _ = strconv.Atoi(m[1])
		return low, low, unitInRange(low, low)
	}
	if m := unitRange.FindStringSubmatch(text); m != nil {
		a, _ := strconv.Atoi(m[1])
		b, _ := strconv.Atoi(m[2])
		return min(a, b), max(a, b), unitInRange(min(a, b), max(a, b))
	}
	if m := unitSuffix.FindStringSubmatch(text); m != nil {
		low, _ = strconv.Atoi(m[1])
		if low < tallest {
			return 0, 0, &problem{"u-ambiguous", fmt.Sprintf("%s can be a height of %d units or the place %d", text, low, low),
				fmt.Sprintf("write the place as %d or U%d; or leave the column out with --column 'HEADING=ignore'", low, low)}
		}
		return low, low, unitInRange(low, low)
	}
	return 0, 0, &problem{"u-malformed", fmt.Sprintf("%q is not a place in a rack", text), "write it like 12, U12 or 12-13"}
}

func unitInRange(low, high int) *problem {
	if low < 1 || high > 100 {
		return &problem{"u-malformed", fmt.Sprintf("no rack has units %d to %d", low, high), "count from 1 at the bottom"}
	}
	return nil
}

// addressCell is what one cell says about an address: the address, and what
// it says beside about the network; or a run of addresses for several rows.
type addressCell struct {
	first, last netip.Addr
	prefix      netip.Prefix
	gateway     netip.Addr
}

var addressRange = regexp.MustCompile(`^([0-9.]+) ?[-~–—至到]+ ?([0-9.]+)$`)

func parseAddress(c Cell) (addressCell, *problem) {
	text := strings.NewReplacer("。", ".", "．", ".").Replace(c.text())
	var out addressCell
	malformed := &problem{"address-malformed", fmt.Sprintf("%q is not an IP address", text), "write it like 10.1.110.11, 10.1.110.11/22, 10.1.110.11/22,10.1.108.1 or 10.1.110.11-50"}
	if m := addressRange.FindStringSubmatch(text); m != nil {
		return addressRun(m[1], m[2], malformed)
	}
	main, rest, _ := strings.Cut(text, ",")
	main, rest = strings.TrimSpace(main), strings.TrimSpace(rest)
	if prefix, err := netip.ParsePrefix(main); err == nil {
		out.first, out.prefix = prefix.Addr(), prefix.Masked()
	} else if addr, err := netip.ParseAddr(main); err == nil {
		out.first = addr
	} else {
		return out, malformed
	}
	if rest != "" {
		gateway, err := netip.ParseAddr(rest)
		if err != nil {
			return out, malformed
		}
		out.gateway = gateway
	}
	if !out.first.Is4() || out.gateway.IsValid() && !out.gateway.Is4() {
		return out, &problem{"address-malformed", fmt.Sprintf("%q is not an IPv4 address", text), "write it like 10.1.110.11"}
	}
	out.last = out.first
	return out, nil
}

// addressRun reads 10.1.1.11-50 and 10.1.1.11-10.1.1.50.
func addressRun(from, to string, malformed *problem) (addressCell, *problem) {
	first, err := netip.ParseAddr(from)
	if err != nil || !first.Is4() {
		return addressCell{}, malformed
	}
	if !strings.Contains(to, ".") {
		to = from[:strings.LastIndexByte(from, '.')+1] + to
	}
	last, err := netip.ParseAddr(to)
	if err != nil || !last.Is4() || last.Less(first) {
		return addressCell{}, malformed
	}
	return addressCell{first: first, last: last}, nil
}

func (a addressCell) isRun() bool { return a.first != a.last }

func (a addressCell) size() int { return site.Range{First: a.first, Last: a.last}.Size() }

// parseBMCAddress takes a plain address, also with a prefix or port, or an
// https URL, for the plan takes those.
func parseBMCAddress(c Cell) (string, *problem) {
	text := c.text()
	if strings.HasPrefix(text, "https://") && !strings.ContainsAny(text, " @") {
		return text, nil
	}
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.String(), nil
	}
	a, p := parseAddress(c)
	if p != nil {
		return "", p
	}
	return a.first.String(), nil
}

var memorySize = regexp.MustCompile(`^(?:([0-9]{1,3}) ?[x*×] ?)?([0-9]+(?:\.[0-9]+)?) ?([gGtTmM])(?:[iI]?[bB])?$`)

// parseMemory gives bytes. Memory is counted in powers of two, whatever the
// sheet calls them. A bare number needs its unit in the heading.
func parseMemory(c Cell, unit string) (int64, *problem) {
	text := c.text()
	if strings.Trim(text, "0123456789.") == "" {
		text += unit
	}
	m := memorySize.FindStringSubmatch(text)
	if m == nil {
		return 0, &problem{"memory-malformed", fmt.Sprintf("%q is not an amount of memory", text), "write it like 384GB or 12*32GB, or the unit into the heading: 内存(GB)"}
	}
	size, _ := strconv.ParseFloat(m[2], 64)
	if m[1] != "" {
		n, _ := strconv.ParseFloat(m[1], 64)
		size *= n
	}
	bytes := size * math.Pow(1024, float64(2+strings.Index("MGT", strings.ToUpper(m[3]))))
	if bytes < 1<<20 || bytes > 1<<50 {
		return 0, &problem{"memory-malformed", fmt.Sprintf("no machine has %q of memory", text), "write it like 384GB"}
	}
	return int64(bytes), nil
}
