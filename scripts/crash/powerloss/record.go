package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What happens to a file.
type act int

const (
	write act = iota + 1
	truncate
	sync
	remove
	syncNames // of the folder of chunks
)

// event is one call of the system, at its completion.
type event struct {
	what  act
	file  string
	at    int64 // offset of a write, length of a truncation
	data  []byte
	began int  // how many events had been completed when it began
	open  bool // it was never seen to end
}

// record reads what strace -f -y wrote: one line for a call, or two when others came in between.
type record struct {
	events []event
	open   map[string]string // by thread: a line whose end has not come
	begun  map[string]int    // and how many events there were at its beginning
	killed bool
}

// The beginning of a line, and the calls that matter. Everything else is passed over.
var (
	line    = regexp.MustCompile(`^(\d+) +(.*)$`)
	resumed = regexp.MustCompile(`^<\.\.\. \w+ resumed>(.*)$`)
	onFile  = regexp.MustCompile(`^(\w+)\(\d+<([^>]*)>(.*)$`)
	ofName  = regexp.MustCompile(`^(unlink|rename)\w*\(.*"([^"]*)"`)
)

const unfinished = " <unfinished ...>"

func readRecord(name string) ([]event, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := record{open: map[string]string{}, begun: map[string]int{}}
	s := bufio.NewScanner(bytes.NewReader(text))
	s.Buffer(nil, 1<<24)
	for n := 1; s.Scan(); n++ {
		if err := r.line(s.Text()); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	if !r.killed {
		return nil, errors.New("the record does not end with the end of the process")
	}
	return r.events, r.rest()
}

func (r *record) line(text string) error {
	m := line.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("not understood: %.80q", text)
	}
	thread, call := m[1], m[2]
	if strings.HasPrefix(call, "+++ ") {
		r.killed = true
		return nil
	}
	if strings.HasPrefix(call, "--- ") {
		return nil
	}
	if rest := resumed.FindStringSubmatch(call); rest != nil {
		began, ok := r.begun[thread]
		if !ok {
			return errors.New("the end of a call that did not begin")
		}
		call = r.open[thread] + rest[1]
		delete(r.open, thread)
		delete(r.begun, thread)
		return r.call(call, began, false)
	}
	if begin, ok := strings.CutSuffix(call, unfinished); ok {
		r.open[thread] = begin
		r.begun[thread] = len(r.events)
		return nil
	}
	return r.call(call, len(r.events), false)
}

// rest takes up the calls that the process died in. A sync that did not end promises nothing.
func (r *record) rest() error {
	var errs []error
	for _, thread := range slices.Sorted(func(yield func(string) bool) {
		for t := range r.open {
			if !yield(t) {
				return
			}
		}
	}) {
		errs = append(errs, r.call(r.open[thread], r.begun[thread], true))
	}
	return errors.Join(errs...)
}

func (r *record) call(text string, began int, open bool) error {
	if m := ofName.FindStringSubmatch(text); m != nil {
		if file := tracked(m[2]); file != "" && !strings.Contains(text, ") = -1 ") {
			r.events = append(r.events, event{what: remove, file: file})
		}
		return nil
	}
	m := onFile.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	file := tracked(m[2])
	if filepath.Base(m[2]) == chunks && m[1] == "fsync" {
		file = chunks
	}
	if file == "" {
		return nil
	}
	result, open, err := resultOf(text, open)
	if err != nil {
		return err
	}
	if result < 0 {
		return nil // it failed and did nothing
	}
	e := event{file: file, began: began, open: open}
	switch m[1] {
	case "fsync", "fdatasync":
		if open {
			return nil
		}
		e.what = sync
		if file == chunks {
			e.what = syncNames
		}
	case "ftruncate":
		e.what = truncate
		if _, err := fmt.Sscanf(m[3], ", %d", &e.at); err != nil {
			return fmt.Errorf("%.60q: %w", text, err)
		}
	case "pwrite64":
		e.what = write
		data, rest, err := quoted(strings.TrimPrefix(m[3], ", "))
		if err != nil {
			return fmt.Errorf("%.60q: %w", text, err)
		}
		var length int64
		if _, err := fmt.Sscanf(rest, ", %d, %d", &length, &e.at); err != nil {
			return fmt.Errorf("%.60q: %w", text, err)
		}
		if int64(len(data)) != length {
			return fmt.Errorf("%d of %d bytes were recorded", len(data), length)
		}
		if !open {
			data = data[:result]
		}
		e.data = data
	case "fallocate":
		if !strings.HasPrefix(m[3], ", FALLOC_FL_KEEP_SIZE,") {
			return fmt.Errorf("%.60q: only a fallocate that keeps the length is thought of here", text)
		}
		return nil // room was asked for; bytes and length are as before
	default:
		return fmt.Errorf("%s on %s, which is not thought of here", m[1], e.file)
	}
	r.events = append(r.events, e)
	return nil
}

// resultOf gives what a call returned: what stands behind the last =. The process died in a call that returned "?".
func resultOf(text string, open bool) (result int64, stillOpen bool, err error) {
	if open {
		return 0, true, nil
	}
	i := strings.LastIndex(text, ") = ")
	if i < 0 {
		i = strings.LastIndex(text, ") ")
	}
	_, after, ok := strings.Cut(text[max(i, 0):], "= ")
	if !ok {
		return 0, false, fmt.Errorf("no result in %.60q", text)
	}
	number, _, _ := strings.Cut(after, " ")
	if number == "?" {
		return 0, true, nil
	}
	result, err = strconv.ParseInt(number, 10, 64)
	return result, false, err
}

// quoted reads a string as strace writes it (that of C, with octal and hexadecimal escapes), and gives what follows.
func quoted(text string) (data []byte, rest string, err error) {
	if !strings.HasPrefix(text, `"`) {
		return nil, "", errors.New("no string")
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return data, text[i+1:], nil
		case '\\':
			b, n, err := escape(text[i+1:])
			if err != nil {
				return nil, "", err
			}
			data = append(data, b)
			i += n
		default:
			data = append(data, text[i])
		}
	}
	return nil, "", errors.New("the string does not end")
}

// escape reads what follows a backslash: the byte, and how many characters it took.
func escape(text string) (byte, int, error) {
	if text == "" {
		return 0, 0, errors.New("nothing after a backslash")
	}
	if i := strings.IndexByte(`nrtvfab"\`, text[0]); i >= 0 {
		return "\n\r\t\v\f\a\b\"\\"[i], 1, nil
	}
	base, from, most := 8, 0, 3
	if text[0] == 'x' {
		base, from, most = 16, 1, 2
	}
	n := 0
	for n < most && from+n < len(text) && isDigit(text[from+n], base) {
		n++
	}
	v, err := strconv.ParseUint(text[from:from+n], base, 8)
	return byte(v), from + n, err
}

func isDigit(c byte, base int) bool {
	if base == 8 {
		return c >= '0' && c <= '7'
	}
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
}
