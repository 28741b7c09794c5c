package exchange

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRedacted(t *testing.T) {
	in := Fields{{"Accept", "*/*"}, {"authorization", "Bearer x"}, {"COOKIE", "a=b"}, {"Set-Cookie", "a=b"}, {"Proxy-Authorization", "x"},
		{"X-Api-Key", "x"}, {"X-Auth-Token", "x"}, {"X-Client-Secret", "x"}, {"Keys", "shown"}, {"Monkey", "shown"}}
	want := Fields{{"Accept", "*/*"}, {"authorization", redacted}, {"COOKIE", redacted}, {"Set-Cookie", redacted}, {"Proxy-Authorization", redacted},
		{"X-Api-Key", redacted}, {"X-Auth-Token", redacted}, {"X-Client-Secret", redacted}, {"Keys", "shown"}, {"Monkey", "shown"}}
	if d := cmp.Diff(want, in.Redacted()); d != "" {
		t.Error(d)
	}
	if in[1].Value != "Bearer x" {
		t.Error("the fields themselves were changed")
	}
}

func TestTargets(t *testing.T) {
	for in, want := range map[string][2]string{
		"/a/b":                        {"/a/b", "/a/b"},
		"/a?":                         {"/a?…", "/a?"},
		"/a?x=1&y=2":                  {"/a?…", "/a?x=1&y=2"},
		"/a?access_token=s&x=1":       {"/a?…", "/a?access_token=[redacted]&x=1"},
		"/a?X-Amz-Signature=s&APIKEY": {"/a?…", "/a?X-Amz-Signature=[redacted]&APIKEY=[redacted]"},
	} {
		if got := CutTarget(in); got != want[0] {
			t.Errorf("cut %s: %s", in, got)
		}
		if got := RedactTarget(in); got != want[1] {
			t.Errorf("redact %s: %s", in, got)
		}
	}
}
