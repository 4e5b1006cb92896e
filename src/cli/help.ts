/** Help as lines, from the same specifications that parse. */
import { flagName, globalOptions } from './globals.ts';
import { table } from './render/table.ts';
import type { Style } from './render/style.ts';
import type { AnyVerb, ArgumentSpec, OptionSpec } from './spec.ts';
import { visibleVerbs, type VerbEntry } from './verb-index.ts';

/** Of the widest line. */
const columns = 110;

export function overview(style: Style): string[] {
  const groups = [...new Set(visibleVerbs.map(({ group }) => group))];
  return [
    `${style.bold('Usage:')} cellar VERB [ARGUMENTS] [OPTIONS]`,
    '',
    'One content-addressed store for everything a fleet boots from.',
    ...groups.flatMap((group) => [
      '',
      style.bold(group),
      ...indent(
        table(
          visibleVerbs
            .filter((verb) => verb.group === group)
            .map(({ name, summary }) => [name.padEnd(10), summary]),
        ),
      ),
    ]),
    '',
    style.bold('Options of every verb'),
    ...indent(optionRows(globalOptions)),
    '',
    style.bold('Begin with'),
    '  cellar import rootfs.tar.zst debian:12',
    '  cellar checkout debian:12 /srv/web1 --writable',
    '',
    "'cellar help VERB' explains a verb, 'cellar help names' references, sources and targets,",
    "'cellar help exit-codes' what a failure's exit code says.",
  ];
}

export function verbHelp({ name, summary }: VerbEntry, verb: AnyVerb, style: Style): string[] {
  const own = Object.keys(verb.options).length > 0;
  return [
    `${style.bold('Usage:')} ${synopsis(name, verb)}`,
    '',
    `${summary}.`,
    ...verb.description.flatMap((paragraph) => ['', ...wrap(paragraph, 78)]),
    ...(verb.args.length === 0
      ? []
      : ['', style.bold('Arguments'), ...indent(table(verb.args.map((arg) => [arg.name, arg.summary])))]),
    ...(own ? ['', style.bold('Options'), ...indent(optionRows(verb.options))] : []),
    '',
    style.bold(verb.examples.length === 1 ? 'Example' : 'Examples'),
    ...verb.examples.flatMap(({ command, does }) => [`  ${style.dim(`# ${does}`)}`, `  ${command}`]),
    '',
    `Options of every verb (${Object.keys(globalOptions).map(flagName).join(' ')}): 'cellar help'.`,
  ];
}

export function synopsis(name: string, { args, options }: Pick<AnyVerb, 'args' | 'options'>): string {
  const words = args.map(({ name: word, required, variadic }: ArgumentSpec) => {
    const shown = variadic === true ? `${word}...` : word;
    return required ? shown : `[${shown}]`;
  });
  return ['cellar', name, ...words, ...(Object.keys(options).length > 0 ? ['[OPTIONS]'] : [])].join(' ');
}

function optionRows(options: Readonly<Record<string, OptionSpec>>): string[] {
  const rows = Object.entries(options).map(([key, spec]) => [optionFlags(key, spec), spec.summary] as const);
  const room = columns - Math.max(...rows.map(([flags]) => flags.length)) - 4;
  return table(
    rows.flatMap(([flags, summary]) => wrap(summary, room).map((line, at) => [at === 0 ? flags : '', line])),
  );
}

/** `-n, --dry-run`, `--label KEY=VALUE ...` */
export function optionFlags(key: string, { short, value, repeatable }: OptionSpec): string {
  const letter = short === undefined ? '' : `-${short}, `;
  return `${letter}${flagName(key)}${value === undefined ? '' : ` ${value}`}${repeatable ? ' ...' : ''}`;
}

function wrap(paragraph: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of paragraph.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
