variable "sie_namespace" {
  description = "Namespace in which the chart is installed."
  type        = string
  default     = "sie"
}

variable "sie_service_account_name" {
  description = "Kubernetes service account of the workers: the chart's serviceAccount.name."
  type        = string
  default     = "sie-server"
}

variable "create_model_cache" {
  description = "Whether to make a bucket for models and payloads."
  type        = bool
  default     = true
}

variable "gcs_bucket_name" {
  description = "Name of the bucket. Empty: made of the project and the cluster."
  type        = string
  default     = ""
}

variable "model_cache_location" {
  description = "Location of the bucket. Empty: the cluster's region."
  type        = string
  default     = ""
}

variable "model_cache_storage_class" {
  description = "Storage class of the bucket."
  type        = string
  default     = "STANDARD"
}

variable "model_cache_versioning_enabled" {
  description = "Whether earlier versions of objects are kept."
  type        = bool
  default     = false
}

variable "model_cache_kms_key_name" {
  description = "Key that encrypts the bucket. Empty: Google's."
  type        = string
  default     = ""
}

variable "model_cache_payload_expiration_days" {
  description = "Days after which what lies under payloads/ is removed."
  type        = number
  default     = 1
}

variable "create_artifact_registry" {
  description = "Whether to make a registry for images of one's own."
  type        = bool
  default     = true
}

variable "artifact_registry_location" {
  description = "Location of the registry. Empty: the cluster's region."
  type        = string
  default     = ""
}

variable "enable_managed_prometheus" {
  description = "Whether Google's own Prometheus collects metrics too."
  type        = bool
  default     = false
}

variable "enable_cloud_logging" {
  description = "Whether logs of pods go to Cloud Logging."
  type        = bool
  default     = true
}
