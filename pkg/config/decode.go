package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// decode joins the values by viper and puts them over what c holds, the defaults.
//
// Each variable is bound by name. AutomaticEnv would do with less code, and would let a stray HOFT_PIPE
// hide the whole section pipe; and without it nothing here rests on viper's experimental parts.
func (c *Config) decode(values map[string]any, sets []assignment) error {
	v := viper.NewWithOptions(
		viper.KeyDelimiter(delimiter),
		viper.WithDecodeHook(mapstructure.ComposeDecodeHookFunc(fillEntry, readText)),
	)
	if err := v.MergeConfigMap(values); err != nil {
		return fmt.Errorf("joining the values: %w", err)
	}
	for path := range c.src.env {
		if err := v.BindEnv(viperKey(path), variableOf(path)); err != nil {
			return fmt.Errorf("reading %s: %w", variableOf(path), err)
		}
	}
	for _, a := range sets {
		v.Set(viperKey(a.key.path), a.value)
	}
	return v.UnmarshalExact(c)
}

// delimiter keeps viper from splitting names at dots.
const delimiter = "::"

func viperKey(path string) string { return strings.ReplaceAll(path, ".", delimiter) }

// fillEntry puts the defaults of list entries under what the file gives: viper knows no defaults there.
func fillEntry(from, to reflect.Type, data any) (any, error) {
	given, ok := data.(map[string]any)
	if !ok {
		return data, nil
	}
	var defaults any
	switch to {
	case reflect.TypeFor[Peer]():
		defaults = DefaultPeer()
	case reflect.TypeFor[Route]():
		defaults = DefaultRoute()
	case reflect.TypeFor[Upstream]():
		defaults = DefaultUpstream()
	default:
		return data, nil
	}
	filled := map[string]any{}
	if err := mapstructure.Decode(defaults, &filled); err != nil {
		return nil, fmt.Errorf("filling in defaults: %w", err)
	}
	for name, value := range given {
		filled[name] = value
	}
	return filled, nil
}

// readText turns the text that file, variable or --set gave into what the field holds, with words that help.
func readText(from, to reflect.Type, data any) (any, error) {
	s, ok := data.(string)
	if !ok || from.Kind() != reflect.String {
		return data, nil
	}
	switch {
	case to == reflect.TypeFor[time.Duration]():
		d, err := duration(s)
		return d, err
	case to == reflect.TypeFor[Size]():
		n, err := ParseSize(s)
		return n, err
	case to == reflect.TypeFor[[]string]():
		return list(s), nil
	case to.Kind() == reflect.Bool || to == reflect.TypeFor[*bool]():
		switch s {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, errors.New("write true or false")
	case to.Kind() == reflect.Int:
		return wholeNumber(s)
	}
	return data, nil
}

// explain turns what viper says into problems with a place.
func (s *source) explain(err error) problems {
	var ps problems
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) {
		case nil:
		case *mapstructure.DecodeError:
			where, line := s.where(e.Name())
			value := ""
			if text, ok := s.text[e.Name()]; ok {
				value = strconv.Quote(text)
			}
			ps.add(&Problem{Where: where, Key: e.Name(), Value: value, Reason: e.Unwrap().Error(), line: line})
		case interface{ Unwrap() []error }:
			for _, each := range e.Unwrap() {
				walk(each)
			}
		default:
			if inner := errors.Unwrap(err); inner != nil {
				walk(inner)
				return
			}
			ps.add(&Problem{Where: s.file, Reason: err.Error()})
		}
	}
	walk(err)
	return ps
}
