/** What a device says of itself. Layouts of kernels follow from it. */
export interface DeviceFacts {
  readonly limits: GPUSupportedLimits;
  readonly features: GPUSupportedFeatures;
  readonly adapterInfo: GPUAdapterInfo;
}

/**
 * A device that computes nothing: every value read from it is 0, and `onDispatch` gets the label of each dispatch's
 * pipeline. It tells within seconds which pipelines a check takes on a device with these limits and features.
 */
export function recordingDevice(facts: DeviceFacts, onDispatch: (pipeline: string) => void): GPUDevice {
  const queue = { writeBuffer: nothing, submit: nothing, onSubmittedWorkDone: async () => undefined };
  const device = {
    limits: facts.limits,
    features: facts.features,
    adapterInfo: facts.adapterInfo,
    queue,
    lost: new Promise<never>(nothing),
    addEventListener: nothing,
    removeEventListener: nothing,
    pushErrorScope: nothing,
    popErrorScope: async () => null,
    createBuffer: ({ size, label }: GPUBufferDescriptor) => bufferOf(size, label),
    createShaderModule: labelled,
    createBindGroupLayout: labelled,
    createPipelineLayout: labelled,
    createBindGroup: labelled,
    createComputePipeline: labelled,
    createComputePipelineAsync: async (descriptor: GPUComputePipelineDescriptor) => labelled(descriptor),
    createCommandEncoder: () => encoderOf(onDispatch),
    destroy: nothing,
  };
  return device as unknown as GPUDevice;
}

function nothing(): void {}

function labelled({ label }: GPUObjectDescriptorBase): object {
  return { label };
}

function bufferOf(size: number, label: string | undefined): object {
  return {
    size,
    label,
    mapState: 'unmapped',
    mapAsync: async () => undefined,
    getMappedRange: (offset = 0, length = size - offset) => new ArrayBuffer(length),
    unmap: nothing,
    destroy: nothing,
  };
}

function encoderOf(onDispatch: (pipeline: string) => void): object {
  const beginComputePass = (): object => {
    let current = '';
    return {
      setPipeline: ({ label }: GPUComputePipeline) => {
        current = label;
      },
      setBindGroup: nothing,
      dispatchWorkgroups: () => onDispatch(current),
      end: nothing,
    };
  };
  return { beginComputePass, copyBufferToBuffer: nothing, clearBuffer: nothing, finish: () => ({}) };
}
