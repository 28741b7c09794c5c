package dataapi

import (
	"encoding/base64"
	"strings"

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
	text := strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(id), "=")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return chunk.Map{}, exchange.Problemf(exchange.CodeDataMap, "it is neither base64url nor base64")
	}
	return parseMap(b)
}

// parseMap reads the JSON of a map. Its errors quote nothing of it.
func parseMap(b []byte) (chunk.Map, *exchange.Problem) {
	m, err := chunk.ParseMap(b)
	if err != nil {
		return chunk.Map{}, exchange.Problemf(exchange.CodeDataMap, "%v", err)
	}
	return m, nil
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
