/** What needs the file system of Node. */
export { RunFolder } from './save/run-folder.ts';
