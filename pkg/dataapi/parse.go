package dataapi

import "github.com/hoft/hoft/pkg/chunk"

// ParseID reads the identifier of a map as the API does: base64url or base64, padded or not.
func ParseID(id string) (chunk.Map, error) {
	m, p := decodeMap(id)
	if p != nil {
		return chunk.Map{}, p
	}
	return m, nil
}

// FormatID gives the identifier of a map, a secret: whoever has it and the chunks has the data.
func FormatID(m *chunk.Map) (string, error) {
	_, id, err := encodeMap(m)
	return id, err
}
