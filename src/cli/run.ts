/**
 * One command from its words to its exit code: find the verb, load it and nothing else, run it, show the outcome.
 * Results go to standard output and everything else to standard error. With `--json` the last line of standard
 * output is the result object, or the error object when the verb fails (the text of the error is still on standard
 * error); a verb whose output is the data itself puts that line on standard error.
 */
import { writeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { CellarError } from '../core/errors.ts';
import type { CellarEvent } from '../core/events.ts';
import { nearest } from '../core/nearest.ts';
import { asCellarError } from '../sys/any-error.ts';
import { operandsOf, splitVerb, parseArguments, type Parsed } from './arguments.ts';
import { explainMissing } from './elsewhere.ts';
import { globalOptions, type Globals } from './globals.ts';
import type { Outcome } from './outcome.ts';
import { errorLines } from './render/error.ts';
import { eventJson, write, writeResult } from './render/json.ts';
import { createRenderer, type Renderer } from './render/renderer.ts';
import { hasColor, createStyle, type Style } from './render/style.ts';
import { cancelOnSignals, type Cancellation } from './signals.ts';
import type { AnyVerb } from './spec.ts';
import { storeRoot } from './store-root.ts';
import { usage } from './usage.ts';
import { findVerb, visibleVerbs } from './verb-index.ts';
import { requireText, requireTextOf, requireWords } from './words.ts';

export async function main(argv: readonly string[]): Promise<void> {
  const style = createStyle(hasColor(process.stderr, process.env, !argv.includes('--no-color')));
  using cancellation = cancelOnSignals((text) => process.stderr.write(`${text}\n`));
  const setting: Setting = { style, cancellation, out: process.stdout };
  const stuck = (code: number): void => {
    if (code === unsettled) tellStuck(argv, setting);
  };
  process.once('exit', stuck);
  const reader = watchReader(cancellation);
  process.stderr.on('error', () => undefined);
  try {
    process.exitCode = await command(argv, setting);
    await flushed(cancellation.signal);
    const problem = reader.failed();
    if (problem !== undefined) throw problem;
  } catch (error) {
    // What became of standard output is told by an event of its own, and outdoes what followed from it.
    await setImmediate();
    // A reader such as head(1) that closes the pipe has what it wanted.
    process.exitCode = reader.gone() ? 0 : await fail(reader.failed() ?? error, argv, style);
  }
  process.off('exit', stuck);
  // What a reader has not taken would keep the process until it does.
  if (cancellation.signal.aborted && process.stdout.writableLength > 0) process.exit();
}

/** With which Node exits where nothing is left to end a wait. Here it says that no space is left. */
const unsettled = 13;

/** Past Node's streams, of which one may be what never comes. */
function tellStuck(argv: readonly string[], { style, out }: Setting): void {
  process.exitCode = 1;
  const problem = 'it waits for what will never come';
  const error = new CellarError('E_INTERNAL', { details: { problem } });
  try {
    writeSync(2, `${errorLines(error, { style }).join('\n')}\n`);
    if (asksJson(argv)) writeSync(out === process.stderr ? 2 : 1, `${errorJson(error)}\n`);
  } catch {
    // Nobody reads it: the exit code has to do.
  }
}

interface Setting {
  /** Of standard error. */
  readonly style: Style;
  readonly cancellation: Cancellation;
  /** Where the line for programs goes, as far as the verb is known. */
  out: Writable;
}

async function command(argv: readonly string[], setting: Setting): Promise<number> {
  requireText(argv);
  requireTextOf('CELLAR_STORE', process.env['CELLAR_STORE']);
  const { name, rest } = chosenVerb(argv);
  const entry = findVerb(name);
  if (entry === undefined) throw unknownVerb(name);
  const { verb } = await entry.load();
  const asksHelp = name !== 'help' && beforeDashes(rest).some((word) => word === '--help' || word === '-h');
  if (asksHelp) {
    const { helpOn } = await import('./verbs/help.ts');
    const { globals } = parseArguments(
      name,
      { args: [], options: {} },
      beforeDashes(rest).filter(isGlobalSwitch),
    );
    return await show(await helpOn(name), globals, {
      out: process.stdout,
      signal: setting.cancellation.signal,
    });
  }
  const parsed = parseArguments(name, verb, rest);
  requireWords(verb, parsed);
  return await invoke(verb, parsed, setting);
}

/** `cellar`, `cellar --help` and `cellar --version --json` are verbs too. */
function chosenVerb(argv: readonly string[]): { name: string; rest: readonly string[] } {
  const { verb, rest } = splitVerb(argv);
  if (verb !== undefined) return { name: verb, rest };
  const isVersion = (word: string): boolean => word === '--version' || word === '-V';
  if (rest.some(isVersion)) return { name: 'version', rest: rest.filter((word) => !isVersion(word)) };
  return { name: 'help', rest };
}

async function invoke(verb: AnyVerb, { globals, args, options }: Parsed, setting: Setting): Promise<number> {
  const now = (): number => performance.now();
  const renderer = createRenderer(globals.progress ?? 'auto', {
    ...{ screen: process.stderr, style: setting.style, quiet: globals.quiet, verbose: globals.verbose, now },
  });
  const out = verb.streams?.(args) === true ? process.stderr : process.stdout;
  setting.out = out;
  if (out === process.stderr) requireStdout();
  const context = {
    storeRoot: storeRoot({ store: globals.store, env: process.env, uid: process.geteuid?.() ?? 0 }),
    configPath: globals.config,
    events: sink(renderer, globals, out),
    signal: setting.cancellation.signal,
  };
  if (globals.config !== undefined && verb.makesConfig !== true) {
    const { requireConfig } = await import('./config.ts');
    requireConfig(globals.config);
  }
  try {
    const outcome = await verb.run({ args, options, context });
    renderer.clear();
    return await show(outcome, globals, { out, signal: context.signal });
  } finally {
    renderer.clear();
  }
}

/** Before any work: the data would go nowhere. bin/cellar found it closed, before Node put something in its place. */
function requireStdout(): void {
  if (process.env['CELLAR_NO_STDOUT'] !== '1') return;
  throw new CellarError('E_IO', {
    details: { doing: 'writing the result', path: 'standard output', problem: 'it is closed' },
  });
}

/** Warnings are part of what a program wants to know, so with `--json` they go to it as well. */
function sink(renderer: Renderer, { json }: Globals, out: Writable): (event: CellarEvent) => void {
  if (!json) return renderer.event;
  return (event) => {
    renderer.event(event);
    if (event.type === 'warning') out.write(`${eventJson(event)}\n`);
  };
}

async function show(
  outcome: Outcome,
  globals: Globals,
  { out, signal }: { readonly out: Writable; readonly signal: AbortSignal },
): Promise<number> {
  if (globals.json) {
    await writeResult(out, outcome.result, signal);
  } else if (outcome.lines !== undefined) {
    const style = createStyle(hasColor(process.stdout, process.env, !globals.noColor));
    let text = '';
    for (const line of outcome.lines(style)) {
      text += `${line}\n`;
      if (text.length < 1 << 16) continue;
      await write(process.stdout, text, signal);
      text = '';
    }
    if (text !== '') await write(process.stdout, text, signal);
  }
  return outcome.exitCode ?? 0;
}

async function fail(error: unknown, argv: readonly string[], style: Style): Promise<number> {
  const { verb: name, rest } = splitVerb(argv);
  const words = beforeDashes(rest);
  const problem = await explainMissing(asCellarError(error));
  const verbose = words.includes('--verbose') || words.includes('-v');
  for (const line of errorLines(problem, { style, verbose })) process.stderr.write(`${line}\n`);
  if (asksJson(argv))
    ((await isStreaming(name, words)) ? process.stderr : process.stdout).write(`${errorJson(problem)}\n`);
  return problem.exitCode;
}

function asksJson(argv: readonly string[]): boolean {
  return beforeDashes(splitVerb(argv).rest).includes('--json');
}

function errorJson(error: CellarError): string {
  return JSON.stringify({ type: 'error', ...error.toJSON(), exitCode: error.exitCode });
}

/** Does standard output belong to the data? Asked of words that may be wrong. */
async function isStreaming(name: string | undefined, words: readonly string[]): Promise<boolean> {
  const verb = name === undefined ? undefined : (await findVerb(name)?.load())?.verb;
  if (verb?.streams === undefined) return false;
  return verb.streams(operandsOf(words, { ...globalOptions, ...verb.options }));
}

/** What other programs call it. */
const elsewhereCalled: ReadonlyMap<string, string> = new Map([
  ['check', 'fsck'],
  ['clean', 'gc'],
  ['delete', 'rm'],
  ['fetch', 'pull'],
  ['images', 'ls'],
  ['inspect', 'show'],
  ['list', 'ls'],
  ['load', 'import'],
  ['log', 'history'],
  ['prune', 'gc'],
  ['push', 'export'],
  ['remove', 'rm'],
  ['save', 'export'],
  ['status', 'deployments'],
  ['umount', 'release'],
  ['unmount', 'release'],
  ['untag', 'rm'],
  ['update', 'sync'],
  ['verify', 'fsck'],
]);

function unknownVerb(name: string): CellarError {
  const near =
    elsewhereCalled.get(name) ??
    nearest(
      name,
      visibleVerbs.map((verb) => verb.name),
    );
  const all = "'cellar help' lists the verbs";
  return usage(`there is no verb '${name}'`, near === undefined ? all : `did you mean '${near}'? ${all}`);
}

function beforeDashes(words: readonly string[]): readonly string[] {
  const end = words.indexOf('--');
  return end < 0 ? words : words.slice(0, end);
}

function isGlobalSwitch(word: string): boolean {
  return word === '--json' || word === '--no-color';
}

/** What became of the reader of standard output. */
interface Reader {
  readonly gone: () => boolean;
  readonly failed: () => CellarError | undefined;
}

function watchReader(cancellation: Cancellation): Reader {
  let problem: NodeJS.ErrnoException | undefined;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    problem = error;
    cancellation.cancel();
  });
  return {
    gone: () => problem?.code === 'EPIPE',
    failed() {
      if (problem === undefined) return undefined;
      const details = { doing: 'writing the result', path: 'standard output', problem: problem.message };
      const full = problem.code === 'ENOSPC';
      return new CellarError(full ? 'E_NO_SPACE' : 'E_IO', {
        details,
        ...(full ? { hint: 'free some space where the output goes, and run the command again' } : {}),
        cause: problem,
      });
    },
  };
}

/** @throws E_CANCELLED */
async function flushed(signal: AbortSignal): Promise<void> {
  if (process.stdout.writableLength === 0 && !process.stdout.errored) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  process.stdout.write('', () => resolve());
  const cancel = (): void => reject(new CellarError('E_CANCELLED', { cause: signal.reason }));
  signal.addEventListener('abort', cancel);
  if (signal.aborted) cancel();
  await promise;
}
