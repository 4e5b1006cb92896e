/** Where the tar code lies, for all tests outside its own folder. */
export { createTreeAssembler } from '../../src/tree/tarball/assemble.ts';
export { createTarParser, type TarLimits, type TarMember } from '../../src/tree/tarball/parse.ts';
export { tarEnd, tarMember } from '../../src/tree/tarball/write.ts';
