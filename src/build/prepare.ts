/** The steps of a recipe, in their order, done to a tree that nobody else sees. */
import type { ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { ownerIn } from './accounts.ts';
import { configureTree } from './configure.ts';
import { sourceOf } from './inputs.ts';
import { statInside } from './inside.ts';
import { putContent, putPath } from './put.ts';
import { identities, type Recipe, type RecipeFile } from './recipe.ts';
import type { Runner } from './runner.ts';
import { scrub } from './scrub.ts';

export interface Preparation {
  readonly root: ByteString;
  readonly runner: Runner;
  /** Seconds since the epoch. */
  readonly clock: number | undefined;
}

/**
 * bootstrap → files → pre → packages → run → post → scrub → configure.
 * @throws as `Runner`, E_SOURCE_NOT_FOUND, E_TREE_INVALID, E_CONFIG
 */
export async function prepare(recipe: Recipe, preparation: Preparation): Promise<void> {
  const { root, runner, clock } = preparation;
  const { directory, bootstrap, configure } = recipe;
  if (bootstrap !== undefined) await runner.outside('bootstrap', ['/bin/sh', '-ec', bootstrap], directory);
  for (const file of recipe.files ?? []) putFile(recipe, preparation, file);
  await runAll(runner, 'pre', recipe.pre);
  await installPackages(runner, recipe.packages ?? []);
  await runAll(runner, 'run', recipe.run);
  await runAll(runner, 'post', recipe.post);
  scrub(root, recipe.scrub === true ? identities : recipe.scrub === false ? [] : (recipe.scrub ?? []));
  if (configure === undefined) return;
  configureTree({ root, directory, clock }, configure);
  if (configure['ssh-keys'] === 'new') await runAll(runner, 'ssh-keys', ['ssh-keygen -A']);
}

async function runAll(runner: Runner, step: string, commands: readonly string[] = []): Promise<void> {
  for (const command of commands) await runner.inside(step, ['/bin/sh', '-ec', command]);
}

/** What apt fetched on the way is no part of the image. */
async function installPackages(runner: Runner, packages: readonly string[]): Promise<void> {
  if (packages.length === 0) return;
  const apt = 'apt-get -q -o Dpkg::Options::=--force-confold';
  await runAll(runner, 'packages', [
    `${apt} update`,
    `${apt} install --yes --no-install-recommends -- ${packages.join(' ')}`,
    'apt-get clean; rm -rf /var/lib/apt/lists/*',
  ]);
}

function putFile({ directory }: Recipe, { root, clock }: Preparation, file: RecipeFile): void {
  const { dest, content, mode, owner = '0:0', optional } = file;
  const options = { owner: ownerIn(root, owner), mode, clock };
  const source = sourceOf(file, directory);
  if (source === undefined) return putContent(root, dest, Buffer.from(content ?? ''), options);
  if (statInside(source) === undefined && optional === true) return;
  if (statInside(source) === undefined)
    throw new CellarError('E_SOURCE_NOT_FOUND', {
      details: { source: file.host ?? file.from ?? '' },
      hint: "'optional: true' passes over what is not there",
    });
  putPath(root, dest, source, options);
}
