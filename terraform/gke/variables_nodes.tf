variable "gpu_node_pools" {
  description = "Pools of nodes with GPUs. With min_node_count 0 a pool costs nothing while nobody asks for it."
  type = list(object({
    name            = string
    machine_type    = string
    gpu_type        = string
    gpu_count       = number
    min_node_count  = optional(number, 0)
    max_node_count  = number
    disk_size_gb    = optional(number, 100)
    disk_type       = optional(string, "pd-ssd")
    local_ssd_count = optional(number, 0)
    spot            = optional(bool, false)
    zones           = optional(list(string), [])
    labels          = optional(map(string), {})
    # Parts of a GPU, such as 1g.5gb, each of which is one to Kubernetes.
    gpu_partition_size = optional(string)
    # Pods that share a GPU in turns; 0: none.
    time_sharing_clients = optional(number, 0)
    taints = optional(list(object({
      key    = string
      value  = string
      effect = string
    })), [])
  }))
  default = [
    {
      name           = "l4-pool"
      machine_type   = "g2-standard-8"
      gpu_type       = "nvidia-l4"
      gpu_count      = 1
      min_node_count = 0
      max_node_count = 10
      spot           = true
    }
  ]

  validation {
    condition     = length(distinct(var.gpu_node_pools[*].name)) == length(var.gpu_node_pools)
    error_message = "Two pools have the same name."
  }

  validation {
    condition     = alltrue([for pool in var.gpu_node_pools : pool.min_node_count <= pool.max_node_count])
    error_message = "A pool's min_node_count is above its max_node_count."
  }
}

variable "cpu_node_pool" {
  description = "Nodes for gateways, the config service and the broker."
  type = object({
    machine_type   = optional(string, "e2-standard-4")
    min_node_count = optional(number, 1)
    max_node_count = optional(number, 5)
    disk_size_gb   = optional(number, 100)
  })
  default = {}
}

variable "enable_node_auto_provisioning" {
  description = "Whether GKE may make pools of its own for pods that fit nowhere."
  type        = bool
  default     = false
}

variable "nap_min_cpu" {
  description = "Cores of all nodes at least, where GKE makes pools."
  type        = number
  default     = 0
}

variable "nap_min_memory_gb" {
  description = "Memory of all nodes at least, where GKE makes pools."
  type        = number
  default     = 0
}

variable "kubelet_container_log_max_size" {
  description = "Size at which a container's log is rotated on its node, from 10Mi to 500Mi."
  type        = string
  default     = "20Mi"
}

variable "kubelet_container_log_max_files" {
  description = "Files of a container's log that its node keeps, from 2 to 10."
  type        = number
  default     = 10
}

variable "enable_workload_identity" {
  description = "Whether pods have Google service accounts of their own, without which workers reach the bucket with the nodes' account."
  type        = bool
  default     = true
}

variable "nap_max_cpu" {
  description = "Cores of all nodes at most, where GKE makes pools."
  type        = number
  default     = 1000
}

variable "nap_max_memory_gb" {
  description = "Memory of all nodes at most, where GKE makes pools."
  type        = number
  default     = 4000
}
