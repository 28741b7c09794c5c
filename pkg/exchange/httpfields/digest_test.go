package httpfields_test

import (
	"testing"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
)

func TestDigest(t *testing.T) {
	// The example of RFC 9530 appendix B.1: {"hello": "world"} and a line feed.
	const body = "{\"hello\": \"world\"}\n"
	const good = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
	for field, want := range map[string]string{
		good: "",
		"SHA-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:;x=1": "",
		"md5=:AAAA:, " + good: "",
		"sha-256=:AAAAqy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:": "sha-256",
		good + ", sha-512=:AAAA:":                                "sha-512",
		"sha-256=RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=":   "",
		"sha-256=:!!!:": "",
	} {
		d := httpfields.NewDigest(exchange.Fields{{Name: "Content-Digest", Value: field}})
		d.Add([]byte(body[:5]))
		d.Add([]byte(body[5:]))
		if got := d.Wrong(); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
	if httpfields.NewDigest(nil) != nil {
		t.Error("a digest out of nothing")
	}
}
