package ingress

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
)

// shelf is a Direct Data API in memory. Tokens are "read", "write" and "both"; identifiers are the data itself.
type shelf struct{ kept []string }

func (s *shelf) Admit(authorization string, write bool) (string, *exchange.Problem) {
	name, ok := strings.CutPrefix(authorization, "Bearer ")
	switch {
	case !ok:
		return "", exchange.Problemf(exchange.CodeToken, "this needs a token")
	case name != "both" && (name == "write") != write:
		return "", exchange.Problemf(exchange.CodeScope, "not this token")
	}
	return name, nil
}

func (s *shelf) Map(id string) (*chunk.Map, *exchange.Problem) {
	if strings.HasPrefix(id, "!") {
		return nil, exchange.Problemf(exchange.CodeDataMap, "no map")
	}
	return &chunk.Map{Cnt: []byte(id)}, nil
}

func (s *shelf) Keep(_ context.Context, who string, body io.Reader) ([]byte, string, *exchange.Problem) {
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, "", exchange.Problemf(exchange.CodeCalleeBroken, "%v", err)
	}
	s.kept = append(s.kept, who+":"+string(b))
	return []byte(`{"cnt":"x"}`), "identifier", nil
}

func TestStoredBodies(t *testing.T) {
	e := newEchoing()
	e.call = func(_ context.Context, r *exchange.Request, _ time.Duration, accepted func(exchange.ID)) (*exchange.Response, error) {
		accepted(fixedID)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.last = r
		switch {
		case r.Target == "/bad":
			return answer(500, "broken"), nil
		case r.Stored != nil:
			return answer(201, string(r.Stored.Cnt), "Content-Type", "text/plain"), nil
		}
		return answer(200, "no data"), nil
	}
	s := start(t, e, nil)
	api := &shelf{}
	s.With(Options{Stored: api})
	const secret = "this-is-the-map"
	do := func(method, path, body string, fields ...string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+s.addr+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(fields); i += 2 {
			req.Header.Add(fields[i], fields[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(got)
	}
	resp, got := do("POST", "/x", "", bodyMapField, secret, dataAuthField, "Bearer read", "Prefer", "return=minimal")
	r, _ := e.got()
	if resp.StatusCode != 201 || got != secret || r.Length != int64(len(secret)) || r.Body != nil {
		t.Fatalf("%d %q, %+v", resp.StatusCode, got, r)
	}
	if v := httpfields.Values(r.Fields, "Prefer"); len(v) != 1 || v[0] != "return=minimal" {
		t.Errorf("Prefer: %v", v)
	}
	resp, got = do("POST", "/x", "", bodyMapField, secret, dataAuthField, "Bearer both", "Prefer", "return=data-map, return=minimal, wait=9")
	r, _ = e.got()
	h := resp.Header
	if resp.StatusCode != 200 || got != "{\"cnt\":\"x\"}\n" || h.Get(mapField) != "identifier" || h.Get("Preference-Applied") != "wait=9, return=data-map" ||
		h.Get(calleeTypeField) != "text/plain" || h.Get("Content-Type") != "application/json" || h.Get("Hoft-Exchange") == "" ||
		!strings.Contains(h.Get("Proxy-Status"), "received-status=201") {
		t.Errorf("%d %q %v", resp.StatusCode, got, h)
	}
	if len(api.kept) != 1 || api.kept[0] != "both:"+secret {
		t.Errorf("kept: %q", api.kept)
	}
	for _, name := range []string{bodyMapField, dataAuthField} {
		if v := httpfields.Values(r.Fields, name); len(v) != 0 {
			t.Errorf("%s crosses", name)
		}
	}
	if v := httpfields.Values(r.Fields, "Prefer"); len(v) != 1 || v[0] != "return=minimal" {
		t.Errorf("Prefer: %v", v)
	}
	// What is no good answer, or has no body, is passed on as it is.
	if resp, got = do("GET", "/bad", "", dataAuthField, "Bearer write", "Prefer", "return=data-map"); resp.StatusCode != 500 || got != "broken" || resp.Header.Get("Preference-Applied") != "" {
		t.Errorf("%d %q %v", resp.StatusCode, got, resp.Header)
	}
	if resp, _ = do("HEAD", "/x", "", dataAuthField, "Bearer write", "Prefer", "return=data-map"); resp.Header.Get(mapField) != "" || len(api.kept) != 1 {
		t.Errorf("%v, kept %q", resp.Header, api.kept)
	}

	e.got()
	for name, c := range map[string]struct {
		status int
		body   string
		fields []string
	}{
		"no token":         {401, "", []string{bodyMapField, secret}},
		"no token to keep": {401, "", []string{"Prefer", "return=data-map"}},
		"may not read":     {403, "", []string{bodyMapField, secret, dataAuthField, "Bearer write"}},
		"may not keep":     {403, "", []string{"Prefer", "return=data-map", dataAuthField, "Bearer read"}},
		"may keep alone":   {403, "", []string{bodyMapField, secret, "Prefer", "return=data-map", dataAuthField, "Bearer write"}},
		"no map":           {400, "", []string{bodyMapField, "!" + secret, dataAuthField, "Bearer read"}},
		"two maps":         {400, "", []string{bodyMapField, secret, bodyMapField, secret, dataAuthField, "Bearer read"}},
		"a body as well":   {400, "x", []string{bodyMapField, secret, dataAuthField, "Bearer read"}},
		"too large":        {413, "", []string{bodyMapField, strings.Repeat("x", 101), dataAuthField, "Bearer read"}},
	} {
		if resp, got := do("POST", "/x", c.body, c.fields...); resp.StatusCode != c.status || strings.Contains(got, secret) {
			t.Errorf("%s: %d %s", name, resp.StatusCode, got)
		}
		if r, _ := e.got(); r != nil {
			t.Errorf("%s: the call was made", name)
		}
	}
	s.With(Options{})
	if resp, _ := do("POST", "/x", "", bodyMapField, secret); resp.StatusCode != 400 {
		t.Errorf("without a Data API: %d", resp.StatusCode)
	}
	if log := s.logged(t); strings.Contains(log, secret) || strings.Contains(log, "Bearer") {
		t.Errorf("the log tells a secret: %s", log)
	}
}
