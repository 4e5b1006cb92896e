/** Test files one after the other in this process: starting one and loading the program for each takes longer than most of them. */
import { suite } from 'node:test';
import { pathToFileURL } from 'node:url';

// A suite each, so that what one does before and after its tests is done for no other's.
for (const file of process.argv.slice(2))
  await suite(file, async () => {
    await import(pathToFileURL(file).href);
  });
