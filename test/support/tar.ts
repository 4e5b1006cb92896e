/** Where the tar code lies, for all tests outside its own folder. */
export { createTreeAssembler } from '../../src/tree/tar/assemble.ts';
export { createTarParser, type TarLimits, type TarMember } from '../../src/tree/tar/parse.ts';
export { tarEnd, tarMember } from '../../src/tree/tar/write.ts';
