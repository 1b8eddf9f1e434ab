console.error('mamba-lm: not written yet');
process.exitCode = 1;

export {};
