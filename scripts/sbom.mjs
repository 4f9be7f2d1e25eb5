#!/usr/bin/env node
// `npm run sbom`: the bill of materials of what users run, CycloneDX 1.5, in build/sbom.cdx.json: npm's own account of
// package-lock.json, and what npm knows nothing of: MLX's wheels and the embedded pair. The same commit gives the same bytes.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MLX_VERSION, WHEELS } from "./mlx-wheels.mjs";
import { ask, sha256 } from "./setup/run.mjs";
import { Lack, sayLack } from "./setup/tell.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

async function main() {
  const text = ask("npm", ["sbom", "--sbom-format", "cyclonedx", "--omit", "dev", "--package-lock-only"], {
    cwd: root,
  });
  if (text === undefined)
    throw new Lack("npm has no `sbom` here, or package-lock.json does not fit package.json", "npm ci");
  const bom = JSON.parse(text);
  delete bom.serialNumber;
  delete bom.metadata.timestamp;
  const { name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  bom.metadata.component.name = name; // npm takes the folder's

  const added = [...WHEELS.map(wheelComponent), ...(await pairComponents(name, version))];
  bom.components.push(...added);
  const own = bom.dependencies.find(({ ref }) => ref === bom.metadata.component["bom-ref"]);
  for (const component of added) {
    const ref = component["bom-ref"];
    own.dependsOn.push(ref);
    bom.dependencies.push({ ref, dependsOn: [] });
  }
  mkdirSync(join(root, "build"), { recursive: true });
  const file = join(root, "build", "sbom.cdx.json");
  writeFileSync(file, `${JSON.stringify(bom, null, 2)}\n`);
  console.log(`${file}: ${bom.components.length} components`);
}

/** One of the wheels is fetched, by the machine. */
function wheelComponent(wheel) {
  const purl = `pkg:pypi/${wheel.package}@${MLX_VERSION}?file_name=${wheel.file}`;
  return {
    "bom-ref": purl,
    type: "library",
    name: wheel.package,
    version: MLX_VERSION,
    scope: "optional",
    description: `MLX for ${wheel.system}, ${wheel.backend}`,
    purl,
    hashes: [{ alg: "SHA-256", content: wheel.sha256 }],
    licenses: [{ license: { id: "MIT" } }],
  };
}

async function pairComponents(name, version) {
  const pair = join("models", "tiny-gemma4");
  const files = ["target", "assistant"].flatMap((part) =>
    readdirSync(join(root, pair, part))
      .filter((file) => file.endsWith(".safetensors"))
      .map((file) => `${part}/${file}`),
  );
  return Promise.all(
    files.map(async (file) => ({
      "bom-ref": `${name}@${version}#${file}`,
      type: "machine-learning-model",
      name: `tiny-gemma4/${file}`,
      version,
      scope: "required",
      description: "half of the embedded pair, trained by the recipe in training/",
      hashes: [{ alg: "SHA-256", content: await sha256(join(root, pair, file)) }],
      licenses: [{ license: { id: "MIT" } }],
    })),
  );
}

main().catch((error) => {
  if (!(error instanceof Lack)) throw error;
  sayLack(error);
  process.exitCode = 1;
});
