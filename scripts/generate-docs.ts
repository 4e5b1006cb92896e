/** `npm run docs`: writes the reference pages from the specifications of the verbs and the error registry. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { referencePages } from './reference-pages.ts';

const directory = fileURLToPath(new URL('../docs/reference/', import.meta.url));
mkdirSync(directory, { recursive: true });
for (const [name, text] of await referencePages()) {
  writeFileSync(directory + name, text);
  console.log(`docs/reference/${name}`);
}
