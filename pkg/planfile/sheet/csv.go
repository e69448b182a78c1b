package sheet

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

func readCSV(data []byte) ([]Grid, error) {
	text, err := decodeText(data)
	if err != nil {
		return nil, err
	}
	p := &csvParser{text: text, delimiter: sniffDelimiter(text), line: 1}
	g := Grid{}
	for p.text != "" {
		row, err := p.record()
		if err != nil {
			return nil, err
		}
		if row.blank() {
			continue
		}
		if len(g.Rows) == maxRows {
			return nil, fmt.Errorf("there are more than %d rows", maxRows)
		}
		g.Rows = append(g.Rows, row)
	}
	return []Grid{g}, nil
}

func (r GridRow) blank() bool {
	for _, c := range r.Cells {
		if clean(c.Raw) != "" {
			return false
		}
	}
	return true
}

// decodeText takes UTF-8, and what is not valid as that for GB18030, of which
// GBK is a part: Excel in China saves .csv as that. Hardly a text is valid as
// both and means two things.
func decodeText(data []byte) (string, error) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		out, err := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Bytes(data)
		if err != nil {
			return "", fmt.Errorf("the text is not UTF-16, although it starts like it: %w", err)
		}
		return string(out), nil
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if utf8.Valid(data) {
		return string(data), nil
	}
	out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(data)
	if err != nil || bytes.ContainsRune(out, utf8.RuneError) {
		return "", errors.New("the text is neither UTF-8 nor GB18030 (GBK): save it as CSV UTF-8, or as .xlsx")
	}
	return string(out), nil
}

// sniffLines is how far down a title row and remarks may push the table.
const sniffLines = 20

// sniffDelimiter takes the character of which the fullest of the first lines
// has most, outside quotation marks.
func sniffDelimiter(text string) byte {
	best, most := byte(','), 0
	lines := 0
	for line := range strings.Lines(text) {
		if lines++; lines > sniffLines {
			break
		}
		counts, quoted := map[byte]int{}, false
		for i := range len(line) {
			if line[i] == '"' {
				quoted = !quoted
			}
			if !quoted {
				counts[line[i]]++
			}
		}
		for _, d := range []byte{',', ';', '\t'} {
			if counts[d] > most {
				best, most = d, counts[d]
			}
		}
	}
	return best
}

// csvParser follows RFC 4180, with any of the delimiters and line ends, and
// takes a quotation mark inside a cell that does not start with one as it
// stands: passwords have them.
type csvParser struct {
	text      string
	delimiter byte
	line      int
}

func (p *csvParser) record() (GridRow, error) {
	row := GridRow{Number: p.line}
	for {
		value, err := p.field(len(row.Cells))
		if err != nil {
			return row, err
		}
		if len(row.Cells) == maxColumns || len(value) > 4*maxCell {
			return row, fmt.Errorf("line %d: there are more than %d columns, or a cell of more than %d characters: check the quotation marks", row.Number, maxColumns, maxCell)
		}
		row.Cells = append(row.Cells, Cell{Raw: value})
		if strings.HasPrefix(p.text, string(p.delimiter)) {
			p.text = p.text[1:]
			continue
		}
		row.Last = p.line
		p.lineEnd()
		return row, nil
	}
}

func (p *csvParser) lineEnd() {
	if p.text == "" {
		return
	}
	p.text = strings.TrimPrefix(p.text, "\r")
	p.text = strings.TrimPrefix(p.text, "\n")
	p.line++
}

func (p *csvParser) field(column int) (string, error) {
	stops := string(p.delimiter) + "\r\n"
	if !strings.HasPrefix(p.text, `"`) {
		end := strings.IndexAny(p.text, stops)
		if end < 0 {
			end = len(p.text)
		}
		value := p.text[:end]
		p.text = p.text[end:]
		return value, nil
	}
	opened := p.line
	var b strings.Builder
	rest := p.text[1:]
	for {
		end := strings.IndexByte(rest, '"')
		if end < 0 {
			return "", fmt.Errorf("line %d, column %s: a quotation mark is not closed: close it, and write one inside a cell twice", opened, letters(column))
		}
		b.WriteString(rest[:end])
		p.line += strings.Count(rest[:end], "\n")
		rest = rest[end+1:]
		if !strings.HasPrefix(rest, `"`) {
			break
		}
		b.WriteByte('"')
		rest = rest[1:]
	}
	if rest != "" && !strings.ContainsRune(stops, rune(rest[0])) {
		return "", fmt.Errorf("line %d, column %s: text follows the closing quotation mark: write a quotation mark inside a cell twice", opened, letters(column))
	}
	p.text = rest
	return b.String(), nil
}
