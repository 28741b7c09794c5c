package config

import (
	"errors"
	"slices"
	"strings"
)

// Problem is one thing wrong with a configuration. It never holds a secret: credentials in a url are cut.
type Problem struct {
	Where  string // file and line, variable, or flag; "" when the value came from code
	Key    string // full path: ingress.routes[0].peer; "" when the file as a whole is meant
	Value  string // as written; "" when there is none to show
	Reason string
	Mend   string // what to do about it; may be ""
	line   int    // in the file, for the order; 0: elsewhere
}

// Error is one line: where, key, value, reason, mend.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.Where != "" {
		b.WriteString(p.Where + ": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key)
		if p.Value != "" {
			b.WriteString(" = " + p.Value)
		}
		b.WriteString(": ")
	}
	b.WriteString(p.Reason)
	if p.Mend != "" {
		b.WriteString("; " + p.Mend)
	}
	return b.String()
}

// Problems lists what err, an error of Load or Validate, holds; nil if it holds none.
func Problems(err error) []*Problem {
	var out []*Problem
	switch e := err.(type) {
	case nil:
	case *Problem:
		out = append(out, e)
	case interface{ Unwrap() []error }:
		for _, each := range e.Unwrap() {
			out = append(out, Problems(each)...)
		}
	default:
		out = Problems(errors.Unwrap(err))
	}
	return out
}

// problems gathers; one key is reported once, by who came first.
type problems []*Problem

func (ps *problems) add(p *Problem) {
	for _, q := range *ps {
		if p.Key != "" && q.Key == p.Key && q.Where == p.Where {
			return
		}
	}
	*ps = append(*ps, p)
}

// err joins everything in the order of the file; what stands elsewhere comes last.
func (ps problems) err() error {
	slices.SortStableFunc(ps, func(a, b *Problem) int {
		switch {
		case a.line == b.line:
			return 0
		case a.line == 0:
			return 1
		case b.line == 0:
			return -1
		}
		return a.line - b.line
	})
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errors.Join(errs...)
}
