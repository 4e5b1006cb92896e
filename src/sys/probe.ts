export { filesystemOf, type Filesystem } from './filesystem.ts';
