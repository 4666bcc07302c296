/* A cuDNN for tests, as a library of its own that the vendor level opens by name: it computes
 * nothing, keeps every descriptor as it was written, and lets a test read them once a plan was run.
 * A descriptor may not change once it is finished, nor name one that is not.
 *
 * For any graph it proposes, in this order: engine 3 (nondeterministic), 62 (knobs 2 = 3, 14 = 2),
 * 40 (splits k in 4), 7 (knob 24 = 21), 9 (Winograd).  A plan wants 4096 bytes. */
#ifndef RF_FAKE_CUDNN_H
#define RF_FAKE_CUDNN_H

#include <cudnn.h>

enum { FAKE_DNN_VERSION = 91900, FAKE_DNN_WORKSPACE = 4096, FAKE_DNN_VALUES = 16 };

typedef struct fake_dnn_record {
    int                      calls, fail_at; /* call number fail_at, from 1, fails; 0: none */
    int                      handles, descriptors;
    int                      runs;
    cudnnBackendDescriptor_t plan; /* of the last run; the vendor keeps it */
    void                    *stream;
    int64_t                  ids; /* of the last run's pack, which does not outlive the call */
    int64_t                  id[FAKE_DNN_VALUES];
    void                    *data[FAKE_DNN_VALUES];
} fake_dnn_record;

/* Symbols of the library: "fake_dnn", the one record; "fake_dnn_read": copies up to `most` values
 * of an attribute and returns how many it has; "fake_dnn_type": a descriptor's type. */
typedef int64_t fake_dnn_read_fn(cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
                                 int64_t most, void *values);
typedef cudnnBackendDescriptorType_t fake_dnn_type_fn(cudnnBackendDescriptor_t of);

#endif
