#!/usr/bin/env node
// Builds and tests rules, parsers, publishers and outputs in JavaScript or TypeScript.
//
//   streamalert-js build [DIR] [--out FILE.wasm]    the main file of DIR/package.json as a component
//                                                   [DIR/target/plugins/<name of the package>.wasm]
//   streamalert-js test [DIR]                       test/*.test.js and *.test.ts, by node's test runner
//
// The main file is "main" of package.json, else src/index.ts or src/index.js. Exit codes: 0 done; 1 an error in the rules or a failed
// test; 2 a wrong argument or a missing tool.
//
// Tools are taken from the node_modules of DIR or of a folder above it, else from where toolchain.sh put them:
// $STREAMALERT_JS_TOOLCHAIN, or target/toolchains/js of this checkout.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const SDK = path.dirname(path.dirname(fs.realpathSync(fileURLToPath(import.meta.url))));
const TOOLCHAIN = process.env.STREAMALERT_JS_TOOLCHAIN ?? path.join(SDK, "../../target/toolchains/js");
const WIT = process.env.STREAMALERT_WIT ?? path.join(SDK, "../../wit");

/** For each world, the SDK's file that exports its interface, and the interface. */
const WORLDS = {
  rule: ["component.js", "detection"],
  parser: ["component.parser.js", "parsing"],
  publisher: ["component.publisher.js", "publishing"],
  output: ["component.output.js", "delivery"],
};

class Failure extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/** A tool: the project's own, or the toolchain's. */
function tool(project, name) {
  for (const from of [project, TOOLCHAIN]) {
    try {
      return createRequire(path.join(path.resolve(from), "x.js"))(name);
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  throw new Failure(`${name} is not installed; run ${path.join(SDK, "toolchain.sh")}`, 2);
}

function mainFile(project, manifest) {
  const candidates = manifest.main ? [manifest.main] : ["src/index.ts", "src/index.js"];
  const found = candidates.find((name) => fs.existsSync(path.join(project, name)));
  if (!found) throw new Failure(`${project} has no ${candidates.join(" and no ")}`, 2);
  return path.join(project, found);
}

/** The SDK wherever it lies; in a component, with the host's functions in the place of those for tests. */
function sdk(inComponent) {
  const source = path.join(SDK, "src");
  return {
    name: "streamalert-js",
    setup(bundler) {
      bundler.onResolve({ filter: /^streamalert-js$/ }, () => ({ path: path.join(source, "index.js") }));
      if (!inComponent) return;
      // What is not used of them is left out: a world does not have them all.
      bundler.onResolve({ filter: /^streamalert:plugin\// }, ({ path: name }) => ({ path: name, external: true, sideEffects: false }));
      bundler.onResolve({ filter: /^\.\/host\.js$/ }, ({ importer }) =>
        path.dirname(importer) === source ? { path: path.join(source, "host.component.js") } : undefined,
      );
    },
  };
}

async function bundle(project, options) {
  const { build } = tool(project, "esbuild");
  const all = { bundle: true, format: "esm", absWorkingDir: project, write: false, logLevel: "warning", ...options };
  try {
    return (await build(all)).outputFiles;
  } catch (error) {
    if (Array.isArray(error.errors)) throw new Failure("the rules could not be bundled; the errors are above", 1);
    throw error;
  }
}

/** One module of everything. */
async function rules(project, main, [file, exported]) {
  const component = JSON.stringify(path.join(SDK, "src", file));
  const contents = `import ${JSON.stringify(main)};\nexport { ${exported} } from ${component};\n`;
  const [{ text }] = await bundle(project, {
    stdin: { contents, resolveDir: project, sourcefile: "entry.js" },
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2023",
    plugins: [sdk(true)],
  });
  return text;
}

async function test(project) {
  const folder = path.join(project, "test");
  const names = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  const files = names.filter((name) => /\.test\.[cm]?[jt]s$/.test(name)).sort().map((name) => path.join(folder, name));
  if (!files.length) throw new Failure(`${folder} holds no tests (*.test.js, *.test.ts)`, 2);
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "streamalert-js-"));
  try {
    const outputs = await bundle(project, {
      entryPoints: files,
      outdir: work,
      outExtension: { ".js": ".mjs" },
      platform: "node",
      sourcemap: "inline",
      plugins: [sdk(false)],
    });
    for (const { path: file, contents } of outputs) fs.writeFileSync(file, contents);
    const args = ["--enable-source-maps", "--test", ...outputs.map(({ path: file }) => file)];
    if (spawnSync(process.execPath, args, { cwd: project, stdio: "inherit" }).status !== 0) throw new Failure("", 1);
  } finally {
    fs.rmSync(work, { recursive: true });
  }
}

async function build(project, out) {
  const manifest = JSON.parse(fs.readFileSync(path.join(project, "package.json"), "utf8"));
  const world = manifest.streamalert?.world ?? "rule";
  if (!Object.hasOwn(WORLDS, world)) {
    throw new Failure(`package.json, streamalert.world: ${world} is none of ${Object.keys(WORLDS).join(", ")}`, 2);
  }
  const jsSource = await rules(project, mainFile(project, manifest), WORLDS[world]);
  const { componentize } = tool(project, "componentize-qjs");
  // Nothing of this machine goes into the component: it is made in a folder of its own.
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "streamalert-js-"));
  let component;
  try {
    const jsPath = path.join(work, "rules.js");
    fs.writeFileSync(jsPath, jsSource);
    // No WASI: a rule has no clock, no files and no random numbers that would differ from run to run.
    const options = { witPath: WIT, world, jsSource, jsPath, moduleRoot: work, sync: true, stubWasi: true };
    ({ component } = await componentize(options));
  } catch (error) {
    throw new Failure(`the rules could not be made a component: ${error.message}`, 1);
  } finally {
    fs.rmSync(work, { recursive: true });
  }
  const file = out ?? path.join(project, "target/plugins", `${manifest.name.replace(/^@.*\//, "")}.wasm`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, component);
  console.log(`${file} (${component.length} bytes)`);
}

async function main([command, ...rest]) {
  const out = rest.indexOf("--out");
  const file = out < 0 ? undefined : rest.splice(out, 2)[1];
  const project = path.resolve(rest[0] ?? ".");
  if (command !== "build" && command !== "test") {
    throw new Failure("usage: streamalert-js build|test [DIR] [--out FILE.wasm]", 2);
  }
  if (!fs.existsSync(path.join(project, "package.json"))) throw new Failure(`${project} has no package.json`, 2);
  await (command === "build" ? build(project, file && path.resolve(file)) : test(project));
}

main(process.argv.slice(2)).catch((error) => {
  if (!(error instanceof Failure)) throw error;
  if (error.message) console.error(`streamalert-js: ${error.message}`);
  process.exitCode = error.code;
});
