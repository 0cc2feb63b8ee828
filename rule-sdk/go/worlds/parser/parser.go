// The same parser in every language: tests/it/worlds_by_language.rs.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"streamalert/sdk/log"
	"streamalert/sdk/parser"
	"streamalert/sdk/worlds/misbehave"
)

func init() {
	parser.Add(parser.Parser{
		Name:        "edge",
		Description: "Lines like `time|user|action`; a record for each.",
		Schemas: `{"edge:event": {"parser": "json", "schema": {"time": "integer", "user": "string",
			"action": "string"}}}`,
		Sniff: func(head []byte) bool { return bytes.HasPrefix(head, []byte("#e")) },
	}, edge)
}

func edge(payload []byte) ([]parser.Part, error) {
	var parts []parser.Part
	for line := range parser.Lines(payload) {
		found, err := read(line)
		if err != nil {
			return nil, err
		}
		parts = append(parts, found...)
	}
	return parts, nil
}

func read(line parser.Line) ([]parser.Part, error) {
	text := strings.TrimSpace(line.Text())
	if text == "" || text == "#edge" {
		return nil, nil
	}
	if text == "refuse" {
		return nil, errors.New("this payload is refused")
	}
	if message, ok := strings.CutPrefix(text, "log "); ok {
		log.Info(message)
		return nil, nil
	}
	if json, ok := strings.CutPrefix(text, "raw "); ok {
		return []parser.Part{parser.Raw(line.Place, json)}, nil
	}
	misbehave.As(text)
	fields := strings.Split(text, "|")
	if len(fields) != 3 {
		return []parser.Part{parser.Error(line.Place, fmt.Sprintf("%d fields instead of 3", len(fields)))}, nil
	}
	time, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return []parser.Part{parser.Error(line.Place, "the time: "+fields[0]+" is no number")}, nil
	}
	record := parser.Record(line.Place, "edge:event", parser.Object{"time": time, "user": fields[1], "action": fields[2]})
	if fields[2] == "twice" {
		// Several parts may be about the very same piece.
		return []parser.Part{record, record}, nil
	}
	return []parser.Part{record}, nil
}

func main() {}
