// Bundle the libraries of the HTML pages, with the licences of all packages that end up in a bundle.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const ASSETS = "../../scripts/lesionflow/results/pages/assets";
const NIIVUE_LICENCE = readFileSync("niivue-licence.txt", "utf8"); // the package on npm lacks it
const { metafile } = await build({
  bundle: true,
  entryPoints: ["libraries.mjs", "niivue.mjs"],
  format: "iife",
  legalComments: "none",
  metafile: true,
  minify: true,
  outdir: ASSETS,
});
const folders = Object.keys(metafile.inputs)
  .map((path) => path.match(/^.*node_modules\/(@[^/]+\/)?[^/]+/)?.[0])
  .filter(Boolean);
const licences = [...new Set(folders)].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? readFileSync(`${folder}/${file}`, "utf8") : name === "@niivue/niivue" ? NIIVUE_LICENCE : "";
  if (!text) throw new Error(`${name} has no licence file`);
  return `${name} ${version} (${license})\n\n${text.trim().replaceAll("\r", "")}\n`;
});
writeFileSync(`${ASSETS}/LICENCES.txt`, licences.join(`\n${"-".repeat(80)}\n\n`));
