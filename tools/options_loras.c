/* Options about LoRAs and stages, which the help lists with the experts that they change.  What
 * their values mean is read by lora_spec.c. */
#include "tools/request.h"

#define AT(member) .offset = offsetof(rf_request, member)

const rf_option rf_options_loras[] = {
    {.name = "lora",
     .kind = RF_OPTION_TEXTS,
     AT(loras),
     .value = "NAME",
     .help = "a LoRA for all stages: NAME[:STRENGTH[:TEXT]]",
     .group = "Experts",
     .aliases = "lyco"},
    {.name = "lora-dir",
     .kind = RF_OPTION_FOLDERS,
     .place = RF_PLACE_MORE,
     AT(lora_folders),
     .value = "DIR",
     .help = "where names of LoRAs are looked up",
     .group = "Experts",
     .aliases = "lora-model-dir lora-folder"},
    {.name = "base-lora",
     .kind = RF_OPTION_TEXTS,
     .place = RF_PLACE_MORE,
     AT(base_loras),
     .value = "NAME",
     .help = "a LoRA for the base alone",
     .group = "Experts"},
    {.name = "refiner-lora",
     .kind = RF_OPTION_TEXTS,
     .place = RF_PLACE_MORE,
     AT(refiner_loras),
     .value = "NAME",
     .help = "a LoRA for the refiner alone",
     .group = "Experts"},
    {.name = "lora-partial",
     .kind = RF_OPTION_FLAG,
     .place = RF_PLACE_MORE,
     AT(lora_partial),
     .help = "merge LoRAs whose modules do not all fit",
     .group = "Experts"},
    {.name = NULL},
};

const rf_option rf_options_stages[] = {
    {.name = "stage",
     .kind = RF_OPTION_TEXTS,
     .place = RF_PLACE_MORE,
     AT(stage_texts),
     .value = "PAIRS",
     .help = "one of any number: expert=FILE;...;prompt=TEXT",
     .group = "Experts"},
    {.name = NULL},
};
