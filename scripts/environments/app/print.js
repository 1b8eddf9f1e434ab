import { report } from './report.js';

report().then((result) => console.log(JSON.stringify(result)));
