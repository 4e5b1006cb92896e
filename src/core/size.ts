/** Sizes for people, in powers of 1024: in messages of errors and on the screen alike. */
const sizeUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `1.1 GiB`, `512 B`: at most four significant characters and a unit. */
export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1023.95 && unit < sizeUnits.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${sizeUnits[unit]}`;
}
