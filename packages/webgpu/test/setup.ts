// Runs before each test file. The files of a worker share its modules and globals, so this puts back what a file before
// may have replaced.
import { globals } from 'webgpu';
import { compileAhead } from './compile-lazily.ts';
import './sleep-between-polls.ts'; // once a worker

compileAhead(globals);
