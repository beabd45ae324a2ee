variable "project_id" {
  description = "Project in which everything is made."
  type        = string
}

variable "region" {
  description = "Region of the cluster."
  type        = string
  default     = "us-central1"
}

variable "cluster_name" {
  description = "Name of the cluster, and the beginning of the names of what belongs to it."
  type        = string
  default     = "sie-dev"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,22}[a-z0-9]$", var.cluster_name))
    error_message = "2 to 24 lower-case letters, digits and hyphens, beginning with a letter: names of accounts are made of it."
  }
}

variable "deployer_service_account" {
  description = "Email of the service account that runs Terraform, if one does; it may then act as the nodes' account."
  type        = string
  default     = ""
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to destroy the cluster."
  type        = bool
  default     = true
}

variable "kubernetes_version" {
  description = "Least version of the control plane. Null: what the release channel gives."
  type        = string
  default     = null
}

variable "release_channel" {
  description = "RAPID, REGULAR or STABLE."
  type        = string
  default     = "REGULAR"

  validation {
    condition     = contains(["RAPID", "REGULAR", "STABLE"], var.release_channel)
    error_message = "RAPID, REGULAR or STABLE."
  }
}

variable "labels" {
  description = "Labels of everything that can be labelled."
  type        = map(string)
  default     = {}
}
