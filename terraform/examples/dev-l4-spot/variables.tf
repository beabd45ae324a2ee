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
  description = "Name of the cluster."
  type        = string
  default     = "sie-dev"
}

variable "deployer_service_account" {
  description = "Email of the service account that runs Terraform, if one does."
  type        = string
  default     = ""
}

variable "create_artifact_registry" {
  description = "Whether to make a registry for images of one's own."
  type        = bool
  default     = true
}

variable "authorized_networks" {
  description = "Networks that may reach the control plane. Empty: all."
  type = list(object({
    cidr_block   = string
    display_name = string
  }))
  default = []
}

variable "gpu_node_pools" {
  description = "Pools of nodes with GPUs, as the module takes them."
  type        = any
  default = [
    {
      name           = "l4-spot"
      machine_type   = "g2-standard-8"
      gpu_type       = "nvidia-l4"
      gpu_count      = 1
      min_node_count = 0
      max_node_count = 5
      spot           = true
    }
  ]
}
