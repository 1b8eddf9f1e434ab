console.error('mamba-bench: not written yet');
process.exitCode = 1;

export {};
