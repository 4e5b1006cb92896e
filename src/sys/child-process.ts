/**
 * node:child_process, loaded when a program is started for the first time: it brings Node's whole network code with it,
 * 4 ms of every command, and most commands on a store start nothing.
 */
export function childProcess(): typeof import('node:child_process') {
  return process.getBuiltinModule('node:child_process');
}
