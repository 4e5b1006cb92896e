/**
 * Entry of the command. A version is asked for by scripts and probes all the time, so it is answered before
 * anything else is loaded.
 */
const [first] = process.argv.slice(2);
if (process.argv.length === 3 && (first === '--version' || first === '-V')) {
  const { version } = await import('./version.ts');
  process.stdout.write(`${version}\n`);
} else {
  const { main } = await import('./run.ts');
  await main(process.argv.slice(2));
}
