// Package envelope makes a component of a core module.
//
// All components of a world are alike but for the core module of the author: types, imports, exports and what stands in for WASI
// are those of wit/. So the envelope of each world is made once, by generate.sh, around a module that does nothing, and the
// author's is put in its place: nothing but Go is needed to build a plugin.
package envelope

import (
	"bytes"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

//go:embed rule.envelope parser.envelope publisher.envelope output.envelope
var files embed.FS

// World is what a component is, and how its core module is known.
type World struct {
	Name string
	// The interface whose functions it exports.
	exports string
	// The package of the SDK that a package of this world imports.
	sdk string
}

var worlds = []World{
	{"rule", "detection", "streamalert/sdk"},
	{"parser", "parsing", "streamalert/sdk/parser"},
	{"publisher", "publishing", "streamalert/sdk/publisher"},
	{"output", "delivery", "streamalert/sdk/output"},
}

// Of a module, by what it exports.
func worldOf(module *interfaces) (*World, error) {
	var found []*World
	for index := range worlds {
		if module.exports["streamalert:plugin/"+worlds[index].exports+"@0.1.0#describe"] != "" {
			found = append(found, &worlds[index])
		}
	}
	var packages []string
	for _, world := range worlds {
		packages = append(packages, world.sdk)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, errors.New("it exports nothing that a plugin does; a package of plugins imports one of " + strings.Join(packages, ", ") +
			", and is built with GOOS=wasip1 GOARCH=wasm -buildmode=c-shared")
	}
	return nil, fmt.Errorf("it is a %s and a %s at once, since it imports %s and %s; a component is one of them (streamalert/sdk/helpers "+
		"is for rules)", found[0].Name, found[1].Name, found[0].sdk, found[1].sdk)
}

func envelopeOf(world *World) ([]byte, error) { return files.ReadFile(world.Name + ".envelope") }

const (
	moduleHeader    = "\x00asm\x01\x00\x00\x00"
	componentHeader = "\x00asm\x0d\x00\x01\x00"

	// Sections of a component.
	coreModule = 1
	// Sections of a core module.
	custom  = 0
	types   = 1
	imports = 2
	funcs   = 3
	exports = 7
)

// Wrap makes a component of a core module that was built with this SDK.
func Wrap(core []byte) ([]byte, error) {
	if !bytes.HasPrefix(core, []byte(moduleHeader)) {
		return nil, errors.New("this is no core module of WebAssembly")
	}
	core, err := renamed(core)
	if err != nil {
		return nil, err
	}
	given, err := read(core)
	if err != nil {
		return nil, err
	}
	world, err := worldOf(given)
	if err != nil {
		return nil, err
	}
	envelope, err := envelopeOf(world)
	if err != nil {
		return nil, err
	}
	start, end, err := hole(envelope)
	if err != nil {
		return nil, fmt.Errorf("the envelope: %w", err)
	}
	model, err := read(module(envelope[start:end]))
	if err != nil {
		return nil, fmt.Errorf("the envelope: %w", err)
	}
	if err := fits(given, model, world); err != nil {
		return nil, err
	}
	out := bytes.Clone(envelope[:start])
	out = append(out, coreModule)
	out = binary.AppendUvarint(out, uint64(len(core)))
	out = append(out, core...)
	return append(out, envelope[end:]...), nil
}

// Whether a module may stand in the model's place.
func fits(given, model *interfaces, world *World) error {
	var wrong []string
	for _, name := range given.importNames {
		expected, ok := model.imports[name]
		if !ok {
			wrong = append(wrong, "imports "+name+", which no "+world.Name+" has")
		} else if found := given.imports[name]; found != expected {
			wrong = append(wrong, "imports "+name+" as "+found+" instead of "+expected)
		}
	}
	for _, name := range model.exportNames {
		expected := model.exports[name]
		if found, ok := given.exports[name]; !ok {
			wrong = append(wrong, "does not export "+name)
		} else if found != expected {
			wrong = append(wrong, "exports "+name+" as "+found+" instead of "+expected)
		}
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; ") +
			": was it built with the SDK of this release, with GOOS=wasip1 GOARCH=wasm -buildmode=c-shared?")
	}
	return nil
}

// The module with other names for what it imports a second time: Go's linker writes an import for each package that asks for
// one, and a component must not.
func renamed(module []byte) ([]byte, error) {
	r := reader{bytes: module, at: len(moduleHeader)}
	for r.at < len(module) && r.err == nil {
		start := r.at
		id, section := r.section()
		if id != imports || r.err != nil {
			continue
		}
		s := reader{bytes: section}
		count := s.number()
		seen := map[string]int{}
		inside := binary.AppendUvarint(nil, count)
		for range count {
			from, name := s.name(), s.name()
			kindAt := s.at
			if s.byte(); s.number() == 0 && s.err != nil {
				return nil, errTruncated
			}
			seen[from+" "+name]++
			if times := seen[from+" "+name]; times > 1 {
				name = fmt.Sprintf("%s#%d", name, times)
			}
			inside = appendName(appendName(inside, from), name)
			inside = append(inside, section[kindAt:s.at]...)
		}
		out := append(bytes.Clone(module[:start]), imports)
		out = binary.AppendUvarint(out, uint64(len(inside)))
		out = append(out, inside...)
		return append(out, module[r.at:]...), nil
	}
	return module, r.err
}

func appendName(out []byte, name string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(name))), name...)
}

// The section with the core module that is replaced, the first of all.
func hole(component []byte) (start, end int, err error) {
	if !bytes.HasPrefix(component, []byte(componentHeader)) {
		return 0, 0, errors.New("is no component")
	}
	r := reader{bytes: component, at: len(componentHeader)}
	for r.at < len(component) {
		start = r.at
		id, _ := r.section()
		if r.err == nil && id == coreModule {
			return start, r.at, nil
		}
	}
	return 0, 0, errors.New("has no core module")
}

// The module within its section.
func module(section []byte) []byte {
	_, bytes := binary.Uvarint(section[1:])
	return section[1+bytes:]
}

// What a module imports and exports, with types in words.
type interfaces struct {
	imports, exports         map[string]string
	importNames, exportNames []string
}

func read(module []byte) (*interfaces, error) {
	found := &interfaces{imports: map[string]string{}, exports: map[string]string{}}
	var signatures []string
	// Types of functions, those imported first.
	var functions []uint64
	r := reader{bytes: module, at: len(moduleHeader)}
	for r.at < len(module) && r.err == nil {
		id, section := r.section()
		s := reader{bytes: section}
		switch id {
		case types:
			for range s.number() {
				signatures = append(signatures, s.signature())
			}
		case imports:
			for range s.number() {
				name := s.name() + " " + s.name()
				kind := s.byte()
				if kind != 0 {
					return nil, errors.New("imports " + name + ", which is no function")
				}
				number := s.number()
				functions = append(functions, number)
				if number >= uint64(len(signatures)) {
					return nil, errTruncated
				}
				found.imports[name] = signatures[number]
				found.importNames = append(found.importNames, name)
			}
		case funcs:
			for range s.number() {
				functions = append(functions, s.number())
			}
		case exports:
			for range s.number() {
				name, kind, number := s.name(), s.byte(), s.number()
				what := "something that is no function"
				switch {
				case kind == 2:
					what = "memory"
				case kind == 0 && number < uint64(len(functions)) && functions[number] < uint64(len(signatures)):
					what = signatures[functions[number]]
				}
				found.exports[name] = what
				found.exportNames = append(found.exportNames, name)
			}
		}
		if s.err != nil {
			r.err = s.err
		}
	}
	slices.Sort(found.exportNames)
	return found, r.err
}

var errTruncated = errors.New("the module is cut off or malformed")

// Reads numbers and names until something is wrong; then err says so and all else is zero.
type reader struct {
	bytes []byte
	at    int
	err   error
}

func (r *reader) byte() byte {
	if r.err != nil || r.at >= len(r.bytes) {
		r.err = errTruncated
		return 0
	}
	r.at++
	return r.bytes[r.at-1]
}

func (r *reader) number() uint64 {
	if r.err != nil {
		return 0
	}
	value, length := binary.Uvarint(r.bytes[r.at:])
	if length <= 0 {
		r.err = errTruncated
		return 0
	}
	r.at += length
	return value
}

func (r *reader) take(count uint64) []byte {
	if r.err != nil || count > uint64(len(r.bytes)-r.at) {
		r.err = errTruncated
		return nil
	}
	r.at += int(count)
	return r.bytes[r.at-int(count) : r.at]
}

func (r *reader) name() string { return string(r.take(r.number())) }

func (r *reader) section() (byte, []byte) {
	id := r.byte()
	return id, r.take(r.number())
}

func (r *reader) signature() string {
	if r.byte() != 0x60 {
		r.err = errTruncated
		return ""
	}
	list := func() string {
		var names []string
		for range r.number() {
			kind := r.byte()
			if r.err != nil {
				return ""
			}
			name, ok := map[byte]string{0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64"}[kind]
			if !ok {
				name = fmt.Sprintf("type %#x", kind)
			}
			names = append(names, name)
		}
		return "(" + strings.Join(names, ", ") + ")"
	}
	return list() + " -> " + list()
}
