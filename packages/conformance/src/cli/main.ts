console.error('mamba-conformance: not written yet');
process.exitCode = 1;

export {};
