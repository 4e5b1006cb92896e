/**
 * All tests, suite after suite, each as its own `node:test` run so that it can be timed and counted exactly.
 *
 *   npm test                      everything
 *   npm test -- unit contract     these suites
 *   npm run check                 what is worth running before every commit
 *
 * Ends with one line `N passed, N failed, N skipped`, and exit code 1 when anything failed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { run, type RunOptions, type TestsStream } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
// Every process of tests would strip and compile the same modules again.
process.env['NODE_COMPILE_CACHE'] ??= join(root, 'node_modules', '.cache', 'compile');

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

interface Suite {
  readonly name: string;
  /** Globs of test files; the check-lite suite runs commands instead. */
  readonly files?: readonly string[];
  /** Several files at a time: suites that use loop devices, mounts or both processors run one after the other. */
  readonly parallel?: boolean;
  /** The files of each folder, such as src/tree with all below it, in one process. */
  readonly together?: boolean;
}

const suites: readonly Suite[] = [
  { name: 'check-lite' },
  {
    name: 'unit',
    files: ['src/**/*.test.ts', 'test/{support,layers,docs}/*.test.ts'],
    parallel: true,
    together: true,
  },
  { name: 'contract', files: ['test/contract/*.test.ts'], parallel: true },
  { name: 'hostile', files: ['test/hostile/*.test.ts'], parallel: true },
  { name: 'e2e', files: ['test/e2e/*.test.ts'] },
  { name: 'peers', files: ['test/peers/*.test.ts'] },
  { name: 'faults', files: ['test/faults/*.test.ts'] },
  { name: 'vm', files: ['test/vm/*.test.ts'] },
];

/** One hanging test must not hold up the rest for ever. */
const testTimeout = 15 * 60_000;

const skips = new Map<string, number>();
process.exitCode = await main(process.argv.slice(2));

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    console.error(`no such suite: ${unknown.join(', ')} (${suites.map(({ name }) => name).join(', ')})`);
    return 2;
  }
  const chosen = suites.filter(({ name }) => names.length === 0 || names.includes(name));
  if (chosen.some(({ name }) => name !== 'check-lite' && name !== 'unit'))
    spawnSync('scripts/install-test-packages.sh', { stdio: ['ignore', 'inherit', 'inherit'] });
  const total: Count = { passed: 0, failed: 0, skipped: 0 };
  const rows: string[] = [];
  for (const suite of chosen) {
    const started = performance.now();
    const count = suite.files === undefined ? await checks() : await testFiles(suite);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += count[key];
    const row = `${suite.name.padEnd(11)}${seconds.padStart(7)} s  ${summary(count)}`;
    rows.push(row);
    console.log(row);
  }
  if (skips.size > 0) console.log('\nSkipped:');
  for (const [reason, count] of skips) console.log(`  ${count} × ${reason}`);
  if (rows.length > 1) console.log(`\n${rows.join('\n')}`);
  console.log(`\n${summary(total)}`);
  return total.failed > 0 ? 1 : 0;
}

function summary({ passed, failed, skipped }: Count): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** Format, lint, types and dead code: side by side, each counted as one test. What has not changed since is known. */
async function checks(): Promise<Count> {
  const cache = join('node_modules', '.cache');
  // Half of it each: it takes longer than all the others together, on one processor.
  const format = (part: string, ...paths: readonly string[]): readonly [string, ...string[]] => [
    ...(['prettier/bin/prettier.cjs', '--check', '--log-level=warn', '--cache'] as const),
    ...[`--cache-location=${cache}/format-${part}`, ...paths],
  ];
  const commands: readonly (readonly [name: string, module: string, ...args: string[]])[] = [
    ['format of src', ...format('src', 'src')],
    ['format of the rest', ...format('rest', '.', '!src')],
    ['lint', 'oxlint/bin/oxlint', '--type-aware', '--tsconfig', 'tsconfig.json', '--deny-warnings'],
    ['types', 'typescript/bin/tsc', '-p', '.', '--incremental', '--tsBuildInfoFile', `${cache}/tsc.json`],
    ['dead code', 'knip/bin/knip.js', '--no-progress'],
  ];
  const count: Count = { passed: 0, failed: 0, skipped: 0 };
  const done = await Promise.all(
    commands.map(async ([name, module, ...args]) => [name, await tool(module, args)] as const),
  );
  for (const [name, { code, output }] of done) {
    if (code === 0) count.passed++;
    else {
      count.failed++;
      console.log(`✖ check-lite: ${name}\n${output.trimEnd()}\n`);
    }
  }
  return count;
}

async function tool(module: string, args: readonly string[]): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [join(root, 'node_modules', module), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return await new Promise((resolve) => {
    child.on('error', (error) => resolve({ code: 1, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

async function testFiles(suite: Suite): Promise<Count> {
  const { name, files = [], parallel = false, together = false } = suite;
  const count: Count = { passed: 0, failed: 0, skipped: 0 };
  // Some wait for a disk or for a program, so one more than there are processors.
  const lanes = parallel ? availableParallelism() + 1 : 1;
  const found = globSync(files).sort();
  if (!together) {
    if (found.length > 0) await countEvents(name, runFiles(found, { concurrency: lanes }), count);
    return count;
  }
  const folders = Map.groupBy(found, (file) => file.split('/', 2).join('/'));
  // The largest first, so that none is left to run alone.
  const groups = [...folders.values()].sort((one, other) => other.length - one.length);
  const lane = async (): Promise<void> => {
    for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
      const argv = group.map((file) => join(root, file));
      await countEvents(name, runFiles(['test/support/together.ts'], { argv }), count);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return count;
}

function runFiles(files: readonly string[], options: Pick<RunOptions, 'concurrency' | 'argv'>): TestsStream {
  return run({
    files: files.map((file) => join(root, file)),
    ...{ execArgv: ['--disable-warning=ExperimentalWarning'], timeout: testTimeout, concurrency: 1 },
    ...options,
  });
}

/** Leaves only: a test that has subtests stands for them, and a file for its tests. */
async function countEvents(name: string, stream: TestsStream, count: Count): Promise<void> {
  const parents = new Set<string>();
  const said = new Map<string, string>();
  for await (const { type, data } of stream) {
    if (type === 'test:stderr') said.set(data.file, `${said.get(data.file) ?? ''}${data.message}`);
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // A file stands for its tests; only one that breaks outside of them is reported itself.
    const isFile = data.name === data.file;
    if (isFile && type === 'test:pass') continue;
    const { error } = data.details as { error?: Error & { failureType?: string; cause?: unknown } };
    const isParent = data.details.type === 'suite' || parents.delete(`${data.file}\n${data.nesting}`);
    if (data.nesting > 0) parents.add(`${data.file}\n${data.nesting - 1}`);
    if (isSkipped(data.skip)) {
      count.skipped++;
      const reason = typeof data.skip === 'string' && data.skip !== '' ? data.skip : 'no reason given';
      skips.set(reason, (skips.get(reason) ?? 0) + 1);
    } else if (type === 'test:pass') {
      if (!isParent) count.passed++;
    } else if (!(isParent && error?.failureType === 'subtestsFailed')) {
      count.failed++;
      const where = data.file === undefined ? '' : ` (${relative(root, data.file)}:${data.line ?? 0})`;
      const shown = isFile ? (said.get(data.file ?? '') ?? explain(error)) : explain(error);
      console.log(`✖ ${name}: ${isFile ? 'the file itself' : data.name}${where}\n${indent(shown)}\n`);
    }
  }
}

function isSkipped(skip: string | boolean | undefined): boolean {
  return skip !== undefined && skip !== false;
}

function explain(error: (Error & { cause?: unknown }) | undefined): string {
  const cause = error?.cause instanceof Error ? error.cause : error;
  return cause?.stack ?? cause?.message ?? String(error?.cause ?? 'no error given');
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ');
}
