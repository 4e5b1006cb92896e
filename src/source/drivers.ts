/** Every kind of source, in the order in which they are asked whether a location is theirs. */
import { httpDriver } from './http.ts';
import { latestDriver } from './latest.ts';
import { localDriver } from './local.ts';
import { lxcIndexDriver } from './lxc-index.ts';
import { morphDriver } from './morph.ts';
import { ociArchiveDriver } from './oci-archive.ts';
import { ociDriver } from './oci.ts';
import type { Driver } from './port.ts';
import { simplestreamsDriver } from './simplestreams.ts';

/** Paths come last: whatever begins with no scheme is one. */
export const drivers: readonly Driver[] = [
  lxcIndexDriver,
  simplestreamsDriver,
  latestDriver,
  morphDriver,
  ociDriver,
  ociArchiveDriver,
  httpDriver,
  localDriver,
];
