package envelope

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func envelopeFor(t *testing.T, world *World) []byte {
	envelope, err := envelopeOf(world)
	if err != nil {
		t.Fatal(err)
	}
	return envelope
}

func model(t *testing.T, world *World) []byte {
	envelope := envelopeFor(t, world)
	start, end, err := hole(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return module(envelope[start:end])
}

func TestTheModelInItsOwnPlaceIsTheEnvelope(t *testing.T) {
	for index := range worlds {
		component, err := Wrap(model(t, &worlds[index]))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(component, envelopeFor(t, &worlds[index])) {
			t.Errorf("%s: it is another", worlds[index].Name)
		}
	}
}

func TestWhatDoesNotFitIsToldByName(t *testing.T) {
	core := model(t, &worlds[0])
	for name, change := range map[string]func([]byte) []byte{
		"imports streamalert:plugin/lookup@0.1.0 let, which no rule has": func(core []byte) []byte {
			return bytes.Replace(core, []byte("lookup@0.1.0\x03get"), []byte("lookup@0.1.0\x03let"), 1)
		},
		"it exports nothing that a plugin does": func(core []byte) []byte {
			return bytes.ReplaceAll(core, []byte("plugin/detection"), []byte("plugin/detecting"))
		},
		"does not export cabi_realloc": func(core []byte) []byte {
			return bytes.Replace(core, []byte("cabi_realloc"), []byte("cabi_realloq"), 1)
		},
		"is no core module":       func([]byte) []byte { return []byte("#!/bin/sh") },
		"is cut off":              func(core []byte) []byte { return core[:len(core)/2] },
		"is cut off or malformed": func(core []byte) []byte { return append(bytes.Clone(core), 2, 200) },
	} {
		if _, err := Wrap(change(core)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, should tell: %s", err, name)
		}
	}
}

func TestAComponentIsOneOfThem(t *testing.T) {
	both := interfaces{exports: map[string]string{
		"streamalert:plugin/detection@0.1.0#describe": "() -> (i32)", "streamalert:plugin/parsing@0.1.0#describe": "() -> (i32)",
	}}
	expected := "it is a rule and a parser at once, since it imports streamalert/sdk and streamalert/sdk/parser"
	if _, err := worldOf(&both); err == nil || !strings.Contains(err.Error(), expected) {
		t.Error(err)
	}
}

func TestImportsThatComeTwiceGetNamesOfTheirOwn(t *testing.T) {
	core := []byte(moduleHeader +
		"\x01\x04\x01\x60\x00\x00" + // one type, () -> ()
		"\x02\x19\x04\x01m\x01a\x00\x00\x01m\x01a\x00\x00\x01m\x01b\x00\x00\x01m\x01a\x00\x00" +
		"\x03\x01\x00")
	found, err := renamed(core)
	if err != nil {
		t.Fatal(err)
	}
	of, err := read(found)
	if err != nil {
		t.Fatal(err)
	}
	if names := strings.Join(of.importNames, ", "); names != "m a, m a#2, m b, m a#3" {
		t.Error(names)
	}
	if !bytes.HasSuffix(found, []byte("\x03\x01\x00")) {
		t.Error("what stands behind the imports is lost")
	}
}

func TestTheEnvelopesAreThoseOfTheContract(t *testing.T) {
	out := t.TempDir()
	told, err := exec.Command("./generate.sh", out).CombinedOutput()
	if failure, ok := err.(*exec.ExitError); ok && failure.ExitCode() == 2 {
		t.Skipf("%s", told)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, told)
	}
	for index := range worlds {
		world := &worlds[index]
		made, err := os.ReadFile(filepath.Join(out, world.Name+".envelope"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(made, envelopeFor(t, world)) {
			t.Errorf("wit/, wasi.wat, core.wat or worlds.sh changed since %s.envelope was made: run generate.sh", world.Name)
		}
	}
}
