package dataapi

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
)

// Fields that carry a map. The second is accepted in requests as well.
const (
	mapField  = "Safe-Data-Map"
	mapField2 = "Hoft-Data-Map"
)

// encodeMap gives the identifier of a map: its JSON in base64url without padding.
func encodeMap(m *chunk.Map) (json []byte, id string, err error) {
	if json, err = m.Encode(); err != nil {
		return nil, "", err
	}
	return json, base64.RawURLEncoding.EncodeToString(json), nil
}

// decodeMap reads an identifier: base64url or base64, padded or not.
func decodeMap(id string) (chunk.Map, *exchange.Problem) {
	b, err := base64.RawURLEncoding.DecodeString(plainBase64(strings.TrimSpace(id)))
	if err != nil {
		return chunk.Map{}, exchange.Problemf(exchange.CodeDataMap, "it is neither base64url nor base64")
	}
	return parseMap(b)
}

// parseMap reads the JSON of a map, whose strings may be base64 of either kind. Its errors quote nothing of it.
func parseMap(b []byte) (chunk.Map, *exchange.Problem) {
	text, err := uniform(b)
	if err != nil {
		return chunk.Map{}, exchange.Problemf(exchange.CodeDataMap, "it is no JSON")
	}
	m, err := chunk.ParseMap(text)
	if err != nil {
		return chunk.Map{}, exchange.Problemf(exchange.CodeDataMap, "%v", err)
	}
	return m, nil
}

// uniform writes the JSON of a map anew, with every string as base64url without padding.
func uniform(b []byte) ([]byte, error) {
	var out bytes.Buffer
	dec, enc := jsontext.NewDecoder(bytes.NewReader(b)), jsontext.NewEncoder(&out)
	for {
		tok, err := dec.ReadToken()
		if err == io.EOF {
			return out.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		if kind, n := dec.StackIndex(dec.StackDepth()); tok.Kind() == '"' && !(kind == '{' && n%2 == 1) {
			tok = jsontext.String(plainBase64(tok.String()))
		}
		if err := enc.WriteToken(tok); err != nil {
			return nil, err
		}
	}
}

func plainBase64(s string) string {
	return strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(s), "=")
}

// needMap is wanted where there must be one.
func (c *call) needMap() (*chunk.Map, *exchange.Problem) {
	m, p := c.wanted()
	if p == nil && m == nil {
		p = exchange.Problemf(exchange.CodeBadRequest, "name a map: in the path behind /data/, or in %s", mapField)
	}
	return m, p
}

// wanted gives the map that a request names, nil for none.
func (c *call) wanted() (*chunk.Map, *exchange.Problem) {
	var given []string
	if id := c.r.PathValue("map"); id != "" {
		given = append(given, id)
	}
	given = append(given, c.r.Header.Values(mapField)...)
	given = append(given, c.r.Header.Values(mapField2)...)
	var first *chunk.Map
	var same string
	for _, id := range given {
		m, p := decodeMap(id)
		if p != nil {
			return nil, p
		}
		_, canonical, err := encodeMap(&m)
		if err != nil {
			return nil, exchange.Problemf(exchange.CodeDataMap, "%v", err)
		}
		if first == nil {
			first, same = &m, canonical
		} else if canonical != same {
			return nil, exchange.Problemf(exchange.CodeBadRequest, "the path and %s, or several fields, name different maps", mapField)
		}
	}
	return first, nil
}
