package sdk_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What README.md shows is built, and its test runs.
func TestTheReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	sdk, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const imports = "package main\n\nimport (\n\t\"testing\"\n\n\t\"streamalert/sdk\"\n\t\"streamalert/sdk/helpers\"\n\t\"streamalert/sdk/lookup\"\n)\n\n" +
		"var _ = lookup.Get\nvar _ = helpers.ValidIP\nvar _ *sdk.Record\nvar _ *testing.T\n\n"
	pieces := imports
	// Parsers, publishers and outputs are packages of their own, below.
	others := map[string]string{"parser": "", "publisher": "", "output": ""}
	for _, block := range regexp.MustCompile("(?s)```(go)?\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		code := block[2]
		world := regexp.MustCompile(`"streamalert/sdk/(parser|publisher|output)"`).FindStringSubmatch(code)
		switch {
		case world != nil:
			others[world[1]] = code
		case strings.Contains(code, "output.NewParcel"):
			others["output_test"] = "package main\n\nimport (\n\t\"testing\"\n\n\t\"streamalert/sdk/output\"\n)\n\n" + code
		case strings.HasPrefix(code, "module "):
			write("go.mod", regexp.MustCompile("=> .*").ReplaceAllLiteralString(code, "=> "+sdk))
		case block[1] == "":
		case strings.HasPrefix(code, "package "):
			write("rule.go", code)
		case strings.HasPrefix(code, "func "):
			pieces += code
		case strings.HasPrefix(code, "When:"):
			pieces += "var _ = sdk.Rule{\n" + code + "}\n\n"
		case strings.HasPrefix(code, "return "):
			pieces += "func finding(account string) *sdk.Finding {\n" + code + "}\n\n"
		case strings.HasPrefix(code, "helpers."):
			pieces += "func helped(record *sdk.Record) {\n\t_ = " + strings.ReplaceAll(strings.TrimSpace(code), "\n", "\n\t_ = ") + "\n}\n\n"
		default:
			t.Errorf("it is not known how to build this:\n%s", code)
		}
	}
	write("rule_test.go", pieces)
	for name, code := range others {
		place := strings.TrimSuffix(name, "_test")
		if err := os.MkdirAll(filepath.Join(folder, place), 0o755); err != nil {
			t.Fatal(err)
		}
		write(filepath.Join(place, name+".go"), code)
	}
	run := func(name string, arguments ...string) string {
		command := exec.Command(name, arguments...)
		command.Dir = folder
		told, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(arguments, " "), err, told)
		}
		return string(told)
	}
	if told := run("go", "test", "-v", "./..."); !strings.Contains(told, "--- PASS: TestFailedLoginsAreNoFinding") ||
		!strings.Contains(told, "--- PASS: TestABusyServiceIsAskedAgain") {
		t.Error(told)
	}
	run("go", "run", "streamalert/sdk/cmd/component", "-o", "root_login.wasm", ".")
	if found, err := os.ReadFile(filepath.Join(folder, "root_login.wasm")); err != nil || len(found) == 0 {
		t.Error("no component: ", err)
	}
	for _, world := range []string{"parser", "publisher", "output"} {
		run("go", "run", "streamalert/sdk/cmd/component", "-o", world+".wasm", "./"+world)
	}
}
