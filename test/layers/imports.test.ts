/**
 * Imports go downward only. A floor may use those below it and itself; floors of one line are siblings and do not
 * know each other. `core` is pure: it computes and never touches a file, a socket or a process.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../../src', import.meta.url));

const floors: readonly (readonly string[])[] = [
  ['core'],
  ['sys'],
  ['net'],
  ['tree'],
  ['store'],
  ['remote'],
  ['source', 'registry'],
  ['config'],
  ['checkout'],
  ['deploy', 'build'],
  ['fleet'],
  ['ops'],
  ['cli', 'serve'],
];

/** What `core` may use of Node: nothing that reaches outside the process. */
const pure: ReadonlySet<string> = new Set(['node:crypto', 'node:util', 'node:buffer']);

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);

test('there is source to look at, all of it on a known floor', () => {
  assert.ok(files.length > 50);
  const known = new Set(floors.flat());
  assert.deepEqual(
    files.filter((file) => !known.has(floorOf(file))),
    [],
  );
});

test('no import goes up a floor or to a sibling', () => {
  const wrong = files.flatMap((file) =>
    relativeImports(file)
      .filter((target) => !mayUse(floorOf(file), floorOf(target)))
      .map((target) => `${file} → ${target}`),
  );
  assert.deepEqual(wrong, []);
});

test('core does no input or output', () => {
  const wrong = files
    .filter((file) => floorOf(file) === 'core' && !file.endsWith('.test.ts'))
    .flatMap((file) =>
      imports(file)
        .filter((name) => !name.startsWith('.') && !pure.has(name))
        .map((name) => `${file} → ${name}`),
    );
  assert.deepEqual(wrong, []);
});

test('only sys calls the C library', () => {
  const wrong = files.filter((file) => imports(file).includes('koffi') && floorOf(file) !== 'sys');
  assert.deepEqual(wrong, []);
});

test('only cli writes to the standard streams or ends the process', () => {
  const streams = /\bconsole\.|process\.(?:stdout|stderr|exit)\b/;
  const allowed = new Set(['cli', 'serve']);
  // An export to `-` is the one result that is itself a stream.
  const isExempt = (file: string): boolean =>
    allowed.has(floorOf(file)) || file === 'ops/export/output.ts' || file.endsWith('.test.ts');
  const wrong = files.filter((file) => !isExempt(file) && streams.test(code(file)));
  assert.deepEqual(wrong, []);
});

test('the rule itself: down and within is allowed, up and across is not', () => {
  assert.ok(mayUse('ops', 'core') && mayUse('store', 'store'));
  assert.ok(!mayUse('core', 'sys') && !mayUse('tree', 'store') && !mayUse('cli', 'serve'));
});

function mayUse(from: string, to: string): boolean {
  return from === to || rank(to) < rank(from);
}

function rank(floor: string): number {
  return floors.findIndex((line) => line.includes(floor));
}

function floorOf(file: string): string {
  return file.split('/')[0]!;
}

function relativeImports(file: string): string[] {
  return imports(file)
    .filter((name) => name.startsWith('.'))
    .map((name) => normalize(join(dirname(file), name)))
    .filter((target) => !target.startsWith('..'));
}

/** Static, dynamic and re-exporting imports, and the files that become workers. */
function imports(file: string): string[] {
  const patterns = [
    /(?:\bfrom|\bimport)\s+'([^']+)'/g,
    /\bimport\(\s*'([^']+)'/g,
    /new URL\('(\.[^']+)',\s*import\.meta\.url\)/g,
  ];
  const text = code(file);
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map(([, name]) => name!));
}

function code(file: string): string {
  return readFileSync(join(source, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}
