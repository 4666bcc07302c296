/* LoRAs made on the spot, for tests: low rank, f32, numbers that follow from their places. */
#ifndef RF_TEST_LORAS_H
#define RF_TEST_LORAS_H

typedef struct lora_module {
    const char *name;
    int         out, in;
} lora_module;

enum { LORA_RANK = 4 };

/* Writes a LoRA of these modules; the list ends with a name of NULL. */
void write_lora(const char *path, const lora_module *modules);

#endif
