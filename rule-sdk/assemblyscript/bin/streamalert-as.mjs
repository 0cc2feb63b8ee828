#!/usr/bin/env node
// Builds and tests rules, parsers and publishers in AssemblyScript.
//
//   streamalert-as build [DIR] [--out FILE.wasm]    assembly/index.ts as a component [DIR/target/plugins/<name of the package>.wasm]
//   streamalert-as test [DIR]                       tests/*.ts, compiled to WebAssembly and run by node
//
// Exit codes: 0 done; 1 a compiler error or a failed test; 2 a wrong argument or a missing tool.
//
// The compiler and the component tools are taken from the node_modules of DIR or of a folder above it, else from where
// toolchain.sh put them: $STREAMALERT_AS_TOOLCHAIN, or target/toolchains/assemblyscript of this checkout.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const SDK = path.dirname(path.dirname(fs.realpathSync(fileURLToPath(import.meta.url))));
const PACKAGE = "streamalert-as";
const TOOLCHAIN = process.env.STREAMALERT_AS_TOOLCHAIN ?? path.join(SDK, "../../target/toolchains/assemblyscript");
const WIT = process.env.STREAMALERT_WIT ?? path.join(SDK, "../../wit");
/** What the contract calls the functions of each world, by the file that exports them. */
const WORLDS = {
  rule: { entry: "component", interface: "detection", functions: ["describe", "evaluate"] },
  parser: { entry: "parsers", interface: "parsing", functions: ["describe", "sniff", "parse"] },
  publisher: { entry: "publishers", interface: "publishing", functions: ["describe", "publish"] },
};

class Failure extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/** A tool's file: the project's own, or the toolchain's. */
function tool(project, name) {
  for (const from of [project, TOOLCHAIN]) {
    try {
      return pathToFileURL(createRequire(path.join(path.resolve(from), "x.js")).resolve(name)).href;
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND" && error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error;
      const folder = find(from, name.split("/").slice(0, name.startsWith("@") ? 2 : 1).join("/"));
      if (folder) return pathToFileURL(exported(folder, name)).href;
    }
  }
  throw new Failure(`${name} is not installed; run ${path.join(SDK, "toolchain.sh")}`, 2);
}

/** The folder of a package that only `import` may load. */
function find(from, name) {
  for (let at = path.resolve(from); ; at = path.dirname(at)) {
    const folder = path.join(at, "node_modules", name);
    if (fs.existsSync(path.join(folder, "package.json"))) return folder;
    if (at === path.dirname(at)) return null;
  }
}

function exported(folder, name) {
  const { exports } = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
  const rest = name.split("/").slice(name.startsWith("@") ? 2 : 1);
  const entry = exports[rest.length ? `./${rest.join("/")}` : "."];
  return path.join(folder, entry.default ?? entry.import ?? entry);
}

/** A file that is not there: it makes one program of the project's file and a file of the SDK. */
const ENTRY = "streamalert-entry.ts";

/** Runs the compiler. The SDK's package is found wherever it lies. */
async function compile(project, file, sdkFile, options) {
  const { main } = await import(tool(project, "assemblyscript/asc"));
  const mark = `node_modules/${PACKAGE}/`;
  const place = (name) => {
    const slashed = name.replaceAll("\\", "/");
    const at = slashed.lastIndexOf(mark);
    return at < 0 ? name : path.join(SDK, "assembly", slashed.slice(at + mark.length));
  };
  const read = (name, base) => {
    if (name === ENTRY) return `import "./${file}";\nexport * from "${PACKAGE}/${sdkFile}";\n`;
    const at = path.resolve(base, place(name));
    return fs.existsSync(at) && fs.statSync(at).isFile() ? fs.readFileSync(at, "utf8") : null;
  };
  let binary = null;
  const written = { stdout: "", stderr: "" };
  const stream = (name) => ({ isTTY: false, write: (text) => ((written[name] += text), true) });
  const args = [ENTRY, "--baseDir", project, "--outFile", "core.wasm", "--exportStart", "_initialize", ...options];
  const { error } = await main(args, {
    readFile: read,
    writeFile: (name, contents) => {
      if (name.endsWith(".wasm")) binary = contents;
    },
    listFiles: () => [],
    stdout: stream("stdout"),
    stderr: stream("stderr"),
  });
  if (error) throw new Failure(`${written.stderr}${written.stdout}${error.message}`.trim(), 1);
  if (written.stderr) process.stderr.write(written.stderr);
  return binary;
}

/** Speed first; the collector that needs no call of ours; a trap says in the log why. */
const COMMON = ["--optimizeLevel", "3", "--runtime", "incremental"];
const ABORT = ["--use", `abort=~lib/${PACKAGE}/abi/abort`];

/** The exports under the names that the component model has for those of an interface; no others. */
async function rename(project, binary, world) {
  // The compiler's own binaryen.
  const asc = fs.realpathSync(fileURLToPath(tool(project, "assemblyscript/asc")));
  const { default: binaryen } = await import(tool(path.dirname(asc), "binaryen"));
  const module = binaryen.readBinary(binary);
  const version = /^package [^@]+@([^;]+);/m.exec(fs.readFileSync(path.join(WIT, "worlds.wit"), "utf8"))[1];
  const prefix = `streamalert:plugin/${world.interface}@${version}#`;
  const kept = new Set(["memory", "_initialize", "cabi_realloc"]);
  for (const name of exportsOf(binaryen, module)) {
    const plain = name.replace(/^cabi_post_/, "");
    if (world.functions.includes(plain)) {
      const { value } = binaryen.getExportInfo(module.getExport(name));
      module.addFunctionExport(value, name.replace(plain, prefix + plain));
    }
    if (!kept.has(name)) module.removeExport(name);
  }
  module.runPasses(["remove-unused-module-elements"]);
  const renamed = module.emitBinary();
  module.dispose();
  return renamed;
}

function exportsOf(binaryen, module) {
  const names = [];
  for (let at = 0; at < module.getNumExports(); at++) {
    names.push(binaryen.getExportInfo(module.getExportByIndex(at)).name);
  }
  return names;
}

/** The contract as one text; every file repeats the line of the package. */
function contract() {
  const files = fs.readdirSync(WIT).filter((name) => name.endsWith(".wit")).sort();
  if (!files.length) throw new Failure(`${WIT} holds no contract; set STREAMALERT_WIT to the folder wit/ of StreamAlert`, 2);
  const texts = files.map((name) => fs.readFileSync(path.join(WIT, name), "utf8"));
  const line = /^package .*;$/m;
  return [line.exec(texts[0])[0], ...texts.map((text) => text.replace(line, ""))].join("\n");
}

async function build(project, out) {
  const manifest = JSON.parse(fs.readFileSync(path.join(project, "package.json"), "utf8"));
  const name = manifest.streamalert?.world ?? "rule";
  const world = WORLDS[name];
  if (!world) throw new Failure(`package.json, streamalert.world: ${name} is none of ${Object.keys(WORLDS).join(", ")}`, 2);
  const core = await rename(project, await compile(project, "assembly/index", world.entry, [...COMMON, ...ABORT]), world);
  const { componentEmbed, componentNew } = await import(tool(project, "@bytecodealliance/jco-transpile/wasm-tools"));
  const embedded = await componentEmbed({ binary: core, witSource: contract(), world: name, stringEncoding: "utf16" });
  const component = await componentNew(embedded, []);
  const file = out ?? path.join(project, "target/plugins", `${manifest.name.replace(/^@.*\//, "")}.wasm`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, component);
  console.log(`${file} (${component.length} bytes)`);
}

const LEVELS = ["debug", "info", "warn", "error"];

/** A host for tests: it writes log lines to standard error, and has no records and no tables. */
function testHost(module, memory) {
  const text = (at, length) => Buffer.from(memory().buffer, at, length * 2).toString("utf16le");
  const functions = {
    write: (level, at, length) => console.error(`${LEVELS[level]}: ${text(at, length)}`),
    get: (...numbers) => new DataView(memory().buffer).setUint8(numbers[numbers.length - 1], 0),
    json: () => undefined,
    packed: () => undefined,
    now: () => undefined,
  };
  const imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    (imports[from] ??= {})[name] = functions[name];
  }
  return imports;
}

async function test(project) {
  const folder = path.join(project, "tests");
  const files = fs.existsSync(folder) ? fs.readdirSync(folder).filter((name) => name.endsWith(".ts")).sort() : [];
  if (!files.length) throw new Failure(`${folder} holds no tests (*.ts)`, 2);
  let passed = 0;
  let failed = 0;
  for (const file of files) {
    const source = `tests/${file.replace(/\.ts$/, "")}`;
    const binary = await compile(project, source, "testing/exports", ["--runtime", "incremental", ...ABORT]);
    const module = await WebAssembly.compile(binary);
    let memory = () => undefined;
    // Each test has an instance of its own, as a failed one leaves it in no fit state.
    const fresh = async () => {
      const instance = await WebAssembly.instantiate(module, testHost(module, () => memory()));
      memory = () => instance.exports.memory;
      instance.exports._initialize();
      return instance.exports;
    };
    const count = (await fresh()).testCount();
    for (let number = 0; number < count; number++) {
      const guest = await fresh();
      const at = guest.testName(number);
      const bytes = new DataView(guest.memory.buffer).getUint32(at - 4, true);
      const name = Buffer.from(guest.memory.buffer, at, bytes).toString("utf16le");
      try {
        guest.runTest(number);
        passed++;
      } catch (error) {
        if (!(error instanceof WebAssembly.RuntimeError)) throw error;
        console.log(`tests/${file}: ${name}: failed (${error.message})`);
        failed++;
      }
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  if (failed) throw new Failure("", 1);
}

async function main([command, ...rest]) {
  const out = rest.indexOf("--out");
  const file = out < 0 ? undefined : rest.splice(out, 2)[1];
  const project = path.resolve(rest[0] ?? ".");
  if (command !== "build" && command !== "test") throw new Failure("usage: streamalert-as build|test [DIR] [--out FILE.wasm]", 2);
  if (!fs.existsSync(path.join(project, "package.json"))) throw new Failure(`${project} has no package.json`, 2);
  await (command === "build" ? build(project, file && path.resolve(file)) : test(project));
}

main(process.argv.slice(2)).catch((error) => {
  if (!(error instanceof Failure)) throw error;
  if (error.message) console.error(`streamalert-as: ${error.message}`);
  process.exitCode = error.code;
});
