/**
 * What needs the file system of Node.
 * @module
 */
export { RunFolder } from './save/run-folder.ts';
