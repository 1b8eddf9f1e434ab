#!/usr/bin/env node
// Stands in the repository so that the command can be linked before dist is built.
import '../dist/cli/start.js';
