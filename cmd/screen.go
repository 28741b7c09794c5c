package cmd

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// screen prints tables for people: at most width columns, marks beside words, colour only where it shows.
type screen struct {
	out     io.Writer
	width   int
	unicode bool
	color   bool
	same    func(hint string) string // the flags that a command to run next needs to speak of the same site
}

// fullWidth is the width of tables where the terminal does not say its own. What is no terminal takes any width: which columns
// there are must not depend on what is in them.
const (
	fullWidth = 100
	anyWidth  = math.MaxInt32
)

func newScreen(cmd *cobra.Command, out io.Writer) *screen {
	s := &screen{out: out, width: anyWidth, unicode: utf8Locale(), color: colored(cmd, out), same: sameSite(cmd)}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		s.width = n
	} else if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.width = fullWidth
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			s.width = n
		}
	}
	return s
}

// utf8Locale says whether text may hold more than ASCII (POSIX: LC_ALL, then LC_CTYPE, then LANG).
func utf8Locale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(os.Getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return runtime.GOOS == "windows" || runtime.GOOS == "darwin"
}

func (s *screen) paint(color, text string) string {
	if !s.color || color == plain {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// either gives the first text where it can be shown, else the second, which is ASCII.
func (s *screen) either(text, ascii string) string {
	if s.unicode {
		return text
	}
	return ascii
}

// ascii replaces the few characters beyond ASCII that hoft prints where they cannot be shown.
func (s *screen) ascii(text string) string {
	if s.unicode {
		return text
	}
	return strings.NewReplacer("µ", "u", "·", "-", "±", "+-", "…", "...", "→", "->").Replace(text)
}

// cell is one field of a table.
type cell struct {
	text  string
	color string
}

// column is one column of a table. Columns with a higher drop go first when the table is too wide; 0: never.
type column struct {
	title string
	drop  int
}

// table prints rows below their titles, without the columns that do not fit.
func (s *screen) table(columns []column, rows [][]cell) error {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = utf8.RuneCountInString(c.title)
		for _, r := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r[i].text))
		}
	}
	shown := s.fit(columns, widths)
	var b strings.Builder
	line := func(cells func(i int) cell) {
		for n, i := range shown {
			c := cells(i)
			b.WriteString(s.paint(c.color, c.text))
			if n < len(shown)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+gutter))
			}
		}
		b.WriteByte('\n')
	}
	line(func(i int) cell { return cell{text: columns[i].title} })
	for _, r := range rows {
		line(func(i int) cell { return r[i] })
	}
	_, err := io.WriteString(s.out, b.String())
	return err
}

// gutter is the space between columns.
const gutter = 2

// fit gives the columns to show.
func (s *screen) fit(columns []column, widths []int) []int {
	for limit := 9; ; limit-- {
		var shown []int
		total := -gutter
		for i, c := range columns {
			if c.drop <= limit {
				shown = append(shown, i)
				total += widths[i] + gutter
			}
		}
		if total <= s.width || limit == 0 {
			return shown
		}
	}
}

// facts prints names with their values, aligned.
func (s *screen) facts(list [][2]string) error {
	width := 0
	for _, f := range list {
		width = max(width, len(f[0]))
	}
	for _, f := range list {
		if _, err := fmt.Fprintf(s.out, "%-*s  %s\n", width, f[0], s.ascii(f[1])); err != nil {
			return err
		}
	}
	return nil
}

// sameSite repeats the flags by which the site was named for a command line to copy.
func sameSite(cmd *cobra.Command) func(hint string) string {
	flag := func(name string) string {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			return " --" + name + " " + keysShellWord(f.Value.String())
		}
		return ""
	}
	config, state := flag("config"), flag("state-dir")
	return func(hint string) string {
		if i := strings.LastIndex(hint, ": hoft "); i >= 0 { // the command ends a sentence
			hint = hint[i+2:]
		}
		switch {
		case !strings.HasPrefix(hint, "hoft "), strings.HasPrefix(hint, "hoft explain"):
			return ""
		case config != "" || strings.HasPrefix(hint, "hoft serve"):
			return config
		}
		return state
	}
}
