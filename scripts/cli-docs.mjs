#!/usr/bin/env node
// `npm run docs:cli`: writes the reference in docs/cli.md from the commands themselves; with --check it only looks
// whether the file is current. What stands outside of the two marks is written by hand.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { EXIT_MEANINGS } from "../dist/cli/exit-codes.js";
import { commandsOf, makeProgram } from "../dist/cli/program.js";
import { isForFile, variableNames } from "../dist/cli/settings/names.js";

const BEGIN = "<!-- reference: written by `npm run docs:cli` -->\n";
const END = "<!-- end of reference -->\n";

const check = process.argv.includes("--check");
const [path = fileURLToPath(new URL("../docs/cli.md", import.meta.url))] = process.argv
  .slice(2)
  .filter((argument) => !argument.startsWith("--"));

const before = readFileSync(path, "utf8");
const [begin, end] = [before.indexOf(BEGIN), before.indexOf(END)];
if (begin < 0 || end < begin) throw new Error(`${path}: the marks of the reference are not there`);
const now = before.slice(0, begin + BEGIN.length) + reference() + before.slice(end);
if (now !== before) {
  if (check) {
    process.stderr.write(`${path}: not current; run: npm run docs:cli\n`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, now);
  }
}

function reference() {
  const codes = EXIT_MEANINGS.map(([code, meaning]) => `| ${code} | ${cell(meaning)} |`);
  return [
    ...commandsOf(makeProgram()).map(section),
    ["## Exit codes", "", "| code | |", "|---|---|", ...codes, ""].join("\n"),
  ]
    .map((text) => `\n${text}\n`)
    .join("");
}

function section(command) {
  const { notes, examples } = command.closing;
  return [
    `## \`mlx-gemma ${command.path()}\``,
    "",
    command.description(),
    "",
    `    mlx-gemma ${command.path()} ${command.usage()}`,
    ...(notes ? ["", notes] : []),
    ...command.registeredArguments.flatMap(argument),
    ...groups(command),
    "",
    ...examples.map((line) => `    ${line}`),
  ].join("\n");
}

function argument(each) {
  const { description, required, argChoices } = each;
  const choices = argChoices ? ` (${argChoices.join(", ")})` : "";
  const name = required ? `<${each.name()}>` : `[${each.name()}]`;
  return ["", `\`${name}\`: ${description}${choices}`];
}

/** A table for each heading of the help. */
function groups(command) {
  const headings = [...new Set(command.options.map(({ helpGroupHeading = "Options:" }) => helpGroupHeading))];
  return headings.flatMap((heading) => [
    "",
    `| ${heading.replace(/:$/, "")} | | default | environment |`,
    "|---|---|---|---|",
    ...command.options
      .filter(({ helpGroupHeading = "Options:" }) => helpGroupHeading === heading)
      .map(
        (option) =>
          `| ${[`\`${option.flags}\``, meaning(option), preset(option), variable(command, option)].map(cell).join(" | ")} |`,
      ),
  ]);
}

function meaning({ description, argChoices }) {
  return argChoices ? `${description}: ${argChoices.join(", ")}` : description;
}

function preset({ defaultValue, negate }) {
  return defaultValue === undefined || negate ? "" : String(defaultValue);
}

function variable(command, option) {
  if (option.attributeName() === "printConfig") return "";
  const [, shared] = variableNames(command.path(), option);
  return `\`${shared}\`${isForFile(option) ? "" : ", not in the file"}`;
}

function cell(text) {
  return text.replaceAll("|", "\\|");
}
